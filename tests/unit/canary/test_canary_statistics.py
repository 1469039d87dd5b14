# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The tests behind a verdict: exact for small numbers, honest about chance, blind to nothing that is clear.

The oracle counts in integers and divides once (`fractions`): Greenroom's tests don't need scipy, which is 200 MB.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction
from itertools import permutations

import pytest
from ansible.module_utils.greenroom.canary import statistics
from hypothesis import assume, given
from hypothesis import strategies as st


def histogram(values: list[float]) -> dict[str, int]:
    result: dict[str, int] = statistics.added([{statistics.bucket(value): 1} for value in values])
    return result


def ways(stratum: statistics.Stratum) -> list[int]:
    """Return in how many ways 0, 1, 2 … of a stratum's hits are on one side."""
    return [
        math.comb(stratum.size, k) * math.comb(stratum.others_size, stratum.marked - k)
        for k in range(stratum.marked + 1)
    ]


def exact(strata: list[statistics.Stratum]) -> Fraction:
    """Return the probability that one side has its number of hits, or more, over all strata."""
    together = [1]
    for each in strata:
        own = ways(each)
        sums = [0] * (len(together) + len(own) - 1)
        for i, one in enumerate(together):
            for j, other in enumerate(own):
                sums[i + j] += one * other
        together = sums
    return Fraction(sum(together[sum(each.hits for each in strata) :]), sum(together))


def strata(most: int, largest: int) -> st.SearchStrategy[list[statistics.Stratum]]:
    """Return strata with up to so many requests on a side."""
    sides = st.tuples(*[st.integers(0, largest), st.integers(1, largest)] * 2)
    stratum = sides.map(lambda four: statistics.Stratum(min(four[:2]), four[1], min(four[2:]), four[3]))
    return st.lists(stratum, min_size=1, max_size=most)


@given(strata(1, 1500))
def test_fishers_test_is_exact(one: list[statistics.Stratum]) -> None:
    (each,) = one
    found = statistics.more_often(each.hits, each.size, each.others, each.others_size)
    assert found == pytest.approx(float(exact(one)), rel=1e-8, abs=1e-200)


def test_fewer_failures_than_expected_are_no_sign_of_a_fault_however_many_requests_there_are() -> None:
    assert statistics.more_often(1, 5_000, 4_999, 5_000) == 1
    assert statistics.more_often(1_000, 10_000, 100_000, 100_000) == 1


@given(strata(4, 60))
def test_strata_together_are_exact(several: list[statistics.Stratum]) -> None:
    assume(sum(each.marked for each in several) <= statistics.EXACT)
    assert statistics.by_chance(several) == pytest.approx(float(exact(several)), rel=1e-8, abs=1e-200)


@given(strata(3, 250))
def test_a_bound_is_never_below_the_exact_probability(several: list[statistics.Stratum]) -> None:
    assert statistics.by_chance(several) >= float(exact(several)) * (1 - 1e-8)


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
def test_the_tail_is_a_decreasing_probability(marked: int, draws: int, others: int, hits: int) -> None:
    size = max(marked, draws) + others
    one, more = (statistics.hypergeometric_above(hits + k, draws, marked, size) for k in (0, 1))
    # Both are sums of many small numbers.
    assert 0 <= more <= one + 1e-9
    assert one <= 1


def test_large_numbers_work() -> None:
    assert statistics.more_often(50_100, 1_000_000, 50_000, 1_000_000) == pytest.approx(0.37, abs=0.02)
    assert statistics.more_often(60_000, 1_000_000, 50_000, 1_000_000) < 1e-100


def test_few_failures_are_not_significant_but_many_are() -> None:
    assert statistics.more_often(1, 50, 0, 50) == pytest.approx(0.5)
    assert statistics.more_often(3, 50, 0, 50) > 0.1
    assert statistics.more_often(15, 50, 0, 50) < 1e-4


def test_one_stratum_is_fishers_test() -> None:
    for hits, others in ((5, 0), (3, 2), (12, 7)):
        stratum = statistics.Stratum(hits, 60, others, 90)
        assert statistics.by_chance([stratum]) == pytest.approx(statistics.more_often(hits, 60, others, 90))


def test_strata_are_compared_within_themselves_only() -> None:
    # In the second one all fail, on both sides, and the one side has most of its requests there.
    calm, storm = statistics.Stratum(0, 10, 0, 1000), statistics.Stratum(500, 1000, 50, 100)
    assert statistics.more_often(500, 1010, 50, 1100) < 1e-50
    assert statistics.by_chance([calm, storm]) > 0.5
    assert statistics.by_chance([]) == 1
    assert statistics.by_chance([statistics.Stratum(0, 10, 5, 10)]) == 1
    assert statistics.by_chance([statistics.Stratum(9, 10, 0, 0)]) == 1


def test_strata_together_can_be_significant() -> None:
    few = statistics.Stratum(3, 60, 0, 60)
    assert statistics.by_chance([few]) > 0.1
    assert statistics.by_chance([few] * 8) < 1e-6
    assert statistics.by_chance([few] * 2) == pytest.approx(statistics.by_chance([few]) ** 2)


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 60), st.integers(0, 30), st.integers(1, 60)),
        min_size=1,
        max_size=6,
    )
)
def test_the_bound_for_large_numbers_is_never_too_small(numbers: list[tuple[int, int, int, int]]) -> None:
    strata = [statistics.Stratum(min(a, b), b, min(c, d), d) for a, b, c, d in numbers]
    useful = [each for each in strata if each.marked]
    hits = sum(each.hits for each in useful)
    if hits and sum(each.marked for each in useful) <= statistics.EXACT:
        assert statistics._chernoff(hits, useful) >= statistics.by_chance(strata) * 0.999


def test_large_numbers_are_bounded_quickly_and_well() -> None:
    alike = [statistics.Stratum(100, 5_000, 1900, 95_000)] * 20
    assert statistics.by_chance(alike) == 1
    worse = [statistics.Stratum(130, 5_000, 1900, 95_000)] * 20
    assert statistics.by_chance(worse) < 1e-10
    assert statistics.by_chance([statistics.Stratum(300, 5_000, 0, 5_000)]) < 1e-80


def test_the_slow_mark_is_the_live_quantile_plus_the_margin() -> None:
    live = histogram([10.0] * 99 + [400.0])
    assert statistics.mark(live, 0.5, 1.5, 0) == pytest.approx(15.4, abs=0.5)
    assert statistics.mark(live, 0.5, 1.5, 50) == pytest.approx(60.3, abs=0.5)
    assert statistics.mark(live, 1, 1.5, 50) == pytest.approx(610, abs=30)
    assert statistics.mark({}, 0.5, 1.5, 50) == math.inf


def test_slowness_is_distinguished_from_chance_for_any_distribution() -> None:
    """Releases that are alike, with tails of every kind: a test at 1 % is right by chance in about 1 % of the cases."""
    chance = random.Random(7)
    draws: dict[str, Callable[[], float]] = {
        "even": lambda: chance.uniform(5, 50),
        "heavy": lambda: 5 * chance.paretovariate(1.1),
        "two kinds": lambda: 10.0 if chance.random() < 0.97 else 900.0,
    }
    for name, draw in draws.items():
        for share in (0.5, 0.99):
            false = 0
            for _ in range(500):
                candidate, live = (histogram([draw() for _ in range(120)]) for _ in range(2))
                mark = statistics.mark(live, share, 1.2, 0.0)
                slow, usual = (statistics.above(each, mark) for each in (candidate, live))
                false += statistics.by_chance([statistics.Stratum(slow, 120, usual, 120)]) <= 0.01
            assert false <= 15, (name, share, false)


def test_the_trend_is_exact_for_few_values() -> None:
    for length in (3, 4, 5, 6):
        orders = list(permutations(range(length)))
        scores = [sum((b > a) - (b < a) for i, a in enumerate(order) for b in order[i + 1 :]) for order in orders]
        for order in orders[:: max(1, len(orders) // 20)]:
            score = sum((b > a) - (b < a) for i, a in enumerate(order) for b in order[i + 1 :])
            expected = sum(each >= score for each in scores) / len(orders)
            assert statistics.trend([float(each) for each in order]) == pytest.approx(expected)
    assert statistics.trend([1, 2]) == 1


@given(st.permutations(range(12)) | st.permutations(range(20)) | st.permutations(range(40)))
def test_the_trend_of_many_values_is_almost_exact(order: list[int]) -> None:
    # How many orders have 0, 1, 2 … pairs that fall: the n-th value can fall below 0 to n - 1 earlier ones.
    falling = [1]
    for n in range(1, len(order)):
        falling = [sum(falling[max(0, i - n) : i + 1]) for i in range(len(falling) + n)]
    falls = sum(b < a for i, a in enumerate(order) for b in order[i + 1 :])
    probability = float(Fraction(sum(falling[: falls + 1]), math.factorial(len(order))))
    found = statistics.trend([float(each) for each in order])
    assert found >= min(probability, 0.01)
    assert min(found, 0.1) == pytest.approx(min(probability, 0.1), abs=0.003)


def test_a_trend_without_an_order_is_none() -> None:
    assert statistics.trend(list(range(20))) < 1e-6
    assert statistics.trend([5.0] * 20) == 1
