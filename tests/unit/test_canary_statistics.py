# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The tests behind a verdict: exact for small numbers, honest about chance, blind to nothing that is clear."""

from __future__ import annotations

import math
import random
from itertools import permutations

import pytest
from ansible.module_utils.greenroom import canary_statistics as statistics
from hypothesis import given
from hypothesis import strategies as st


def histogram(values: list[float]) -> dict[str, int]:
    return statistics.added([{statistics.bucket(value): 1} for value in values])


@given(st.lists(st.floats(0.01, 100_000), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_quantile_is_known_to_five_percent(values: list[float], share: float) -> None:
    exact = max(1.0, sorted(values)[max(1, math.ceil(share * len(values))) - 1])
    found = statistics.quantile(histogram(values), share)
    assert found is not None
    assert exact * 0.999 <= found <= exact * statistics.GROWTH * 1.001


def test_histograms_add_up() -> None:
    both = statistics.added([histogram([1, 5, 90]), histogram([5, 1000])])
    assert both == histogram([1, 5, 90, 5, 1000])
    assert statistics.total(both) == 5
    assert statistics.above(both, 50) == 2
    assert statistics.quantile({}, 0.5) is None


def test_the_hypergeometric_tail_is_exact() -> None:
    # 3 of 5 drawn are marked, of 4 marked among 12: counted by hand.
    ways = sum(math.comb(4, k) * math.comb(8, 5 - k) for k in (3, 4))
    assert statistics.hypergeometric_above(3, 5, 4, 12) == pytest.approx(ways / math.comb(12, 5))
    assert statistics.hypergeometric_above(0, 5, 4, 12) == 1
    assert statistics.hypergeometric_above(5, 5, 4, 12) == 0


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 40), st.integers(0, 40))
def test_it_is_a_probability_and_falls(marked: int, draws: int, others: int, hits: int) -> None:
    size = max(marked, draws) + others
    one, more = (statistics.hypergeometric_above(hits + k, draws, marked, size) for k in (0, 1))
    assert 0 <= more <= one <= 1


def test_large_numbers_are_no_trouble() -> None:
    assert statistics.more_often(50_100, 1_000_000, 50_000, 1_000_000) == pytest.approx(0.37, abs=0.02)
    assert statistics.more_often(60_000, 1_000_000, 50_000, 1_000_000) < 1e-100


def test_few_failures_prove_nothing_and_many_do() -> None:
    assert statistics.more_often(1, 50, 0, 50) == pytest.approx(0.5)
    assert statistics.more_often(3, 50, 0, 50) > 0.1
    assert statistics.more_often(15, 50, 0, 50) < 1e-4


def test_events_that_stay_away() -> None:
    # None of ten events, where half were due: as ten coins that all fall alike.
    assert statistics.more_seldom(0, 10, 0.5) == pytest.approx(0.5**10)
    assert statistics.more_seldom(5, 5, 0.5) > 0.5
    assert statistics.more_seldom(0, 3, 0.05) > 0.8
    assert statistics.more_seldom(0, 10, 1.0) == 1


def test_a_slower_release_is_seen_and_a_single_pause_is_not() -> None:
    live = histogram([10.0] * 100)
    assert statistics.slower(histogram([30.0] * 100), live, 0.5, 1.5, 10)[0] < 1e-15
    assert statistics.slower(histogram([10.0] * 99 + [5000.0]), live, 0.99, 1.5, 10)[0] > 0.2
    assert statistics.slower(histogram([10.0] * 80 + [500.0] * 20), live, 0.99, 1.5, 10)[0] < 1e-4
    # Slower, and nobody minds.
    assert statistics.slower(histogram([19.0] * 100), live, 0.5, 1.5, 10)[0] == 1


def test_the_slowness_test_keeps_its_promise_whatever_the_distribution() -> None:
    """Releases that are alike, with tails of every kind: a test at 1 % is right by chance in 1 % of the cases."""
    chance = random.Random(7)
    draws = {
        "even": lambda: chance.uniform(5, 50),
        "heavy": lambda: 5 * chance.paretovariate(1.1),
        "two kinds": lambda: 10.0 if chance.random() < 0.97 else 900.0,
    }
    for name, draw in draws.items():
        for share in (0.5, 0.99):
            false = 0
            for _ in range(1000):
                candidate, live = (histogram([draw() for _ in range(60)]) for _ in range(2))
                # Any difference at all would count here.
                false += statistics.slower(candidate, live, share, 1.0, 0.0)[0] <= 0.01
            assert false <= 22, (name, share, false)


def test_the_trend_is_exact_for_few_values() -> None:
    for length in (3, 4, 5, 6):
        orders = list(permutations(range(length)))
        scores = [sum((b > a) - (b < a) for i, a in enumerate(order) for b in order[i + 1 :]) for order in orders]
        for order in orders[:: max(1, len(orders) // 20)]:
            score = sum((b > a) - (b < a) for i, a in enumerate(order) for b in order[i + 1 :])
            expected = sum(each >= score for each in scores) / len(orders)
            assert statistics.trend([float(each) for each in order]) == pytest.approx(expected)
    assert statistics.trend([1, 2]) == 1
    assert statistics.trend(list(range(20))) < 1e-6
    assert statistics.trend([5.0] * 20) == 1
