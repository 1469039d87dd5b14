# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The score of bench/canary in short: some good releases at each rate, and one of each bad kind where enough come."""

from __future__ import annotations

import random

import pytest

from bench.canary.behaviour import Release
from bench.canary.kinds import BAD
from bench.canary.releases import AfterTheCutOver, Good, Identical, Late, Scanned
from bench.canary.simulate import rollout
from bench.canary.unseen import ClockCrashes, Hangs, LogLost, NoPage

# Simulated rollouts. Measuring their coverage takes four times as long, and other tests cover the same lines.
pytestmark = pytest.mark.no_cover


def step(kind: type[Release]) -> float:
    """How long each share is watched, in seconds."""
    return 3600 if kind.long else 60


@pytest.mark.parametrize(("rate", "number"), [(0.1, 4), (1, 4), (10, 4), (50, 1)])
@pytest.mark.parametrize("kind", [Good, Identical])
def test_good_releases_pass(kind: type[Release], rate: float, number: int) -> None:
    outcomes = [rollout(kind(random.Random(seed)), rate, 60, random.Random(seed + 100)) for seed in range(number)]
    assert [outcome.line for outcome in outcomes if outcome.verdict != "pass"] == []


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.__name__)
def test_bad_releases_do_not_pass_with_public_traffic(kind: type[Release]) -> None:
    outcome = rollout(kind(random.Random(1)), 5 if kind.long else 50, step(kind), random.Random(101))
    assert outcome.verdict in (["no data"] if kind in (LogLost, NoPage) else ["fail", "no data"]), outcome.line


# What only the public can see is not among them.
@pytest.mark.parametrize("kind", [kind for kind in BAD if kind.probed], ids=lambda kind: kind.__name__)
def test_most_bad_releases_do_not_pass_without_public_traffic(kind: type[Release]) -> None:
    outcomes = [rollout(kind(random.Random(seed)), 0.001, step(kind), random.Random(seed + 100)) for seed in (1, 2, 3)]
    assert [outcome.verdict for outcome in outcomes].count("pass") <= 1


def test_rare_slow_requests_are_found_before_all_traffic_moves() -> None:
    outcomes = [rollout(Late(random.Random(seed)), 10, 60, random.Random(seed + 100)) for seed in range(6)]
    assert [outcome.share for outcome in outcomes if outcome.verdict == "fail" and outcome.share <= 50] == [
        outcome.share for outcome in outcomes
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_scanner_hides_no_broken_route(seed: int) -> None:
    outcome = rollout(Scanned(random.Random(seed)), 10, 60, random.Random(seed + 100))
    # It may be found before enough clients came to fail it.
    assert outcome.verdict != "pass"
    assert " failed (public, " in outcome.line or "nobody got a regular response to POST /orders" in outcome.line


def test_a_release_that_went_live_at_once_is_compared_with_the_time_before() -> None:
    verdicts = [
        rollout(kind(random.Random(seed)), 10, 60, random.Random(seed + 100), (100,)).verdict
        for kind, seeds in ((Good, (1, 2, 3)), (AfterTheCutOver, (1, 2, 3)))
        for seed in seeds
    ]
    assert verdicts == ["pass"] * 3 + ["fail"] * 3


def test_without_requests_no_release_passes() -> None:
    class Silent(Good):
        def __init__(self, chance: random.Random) -> None:
            super().__init__(chance)
            self.routes = {name: route for name, route in self.routes.items() if not route.probed}

    outcome = rollout(Silent(random.Random(1)), 0.001, 60, random.Random(2))
    assert (outcome.verdict, outcome.share) == ("no data", 5)


@pytest.mark.parametrize(
    ("kind", "seed", "verdict", "share", "said"),
    [
        # The edge gives up within the step, or only long after it.
        (Hangs, 0, "no data", 5, "requests to green still have no response"),
        (Hangs, 2, "fail", 5, " failed (public, "),
        (ClockCrashes, 0, "fail", 100, "clock-green.service on app1 was restarted"),
        (LogLost, 2, "no data", 50, "its log no longer goes back to the last reading"),
    ],
)
def test_the_reason_is_the_fault(kind: type[Release], seed: int, verdict: str, share: int, said: str) -> None:
    outcome = rollout(kind(random.Random(seed)), 10, 60, random.Random(seed + 100))
    assert (outcome.verdict, outcome.share) == (verdict, share), outcome.line
    assert said in outcome.line
