# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Clients: each counts once, on one slot, however often it comes; and so a broken client fails no candidate."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import comparison, statistics, verdict, worse
from ansible.module_utils.greenroom.canary.edge_log import EdgeLog
from edge_log import entry

from bench.canary.simulate import LIMITS

# A client: its number, how many requests it sends in an interval, and what it gets.
Client = tuple[int, int, Callable[[str], int]]
SLOT = {"live": "blue", "candidate": "green"}


def fine(_side: str) -> int:
    return 200


def broken(_side: str) -> int:
    return 500


def interval(weight: int, clients: Iterable[Client], kind: str = "c", **changes: Any) -> dict[str, Any]:
    """An interval in which each client gets its slot, as the edge logs it. Clients of the kind a have no cookie."""
    log = EdgeLog(["/"])
    for number, requests, status in clients:
        side = "candidate" if number % 100 < weight else "live"
        line = {"slot": SLOT[side], "client": f"10.0.{number // 100}.{number % 100}", **changes}
        if kind != "a":
            line["group"] = f"{kind}{number}"
        for _ in range(requests):
            log.take(entry(**line, status=status(side)))
    seen = verdict.empty_interval(weight)
    seen["public"] = {side: log.slots()[slot] for side, slot in SLOT.items()}
    return {**seen, "seconds": 15.0}


def reasons(*intervals: dict[str, Any]) -> list[str]:
    found: list[str] = worse.worse(intervals, LIMITS, LIMITS.alpha)
    return found


def crowd(number: int, requests: int = 5, status: Callable[[str], int] = fine) -> list[Client]:
    """Clients with numbers from 0 on, spread over both slots at every weight."""
    return [(each * 37 % 1000, requests, status) for each in range(number)]


def test_one_broken_client_fails_no_candidate() -> None:
    # On the candidate, with more requests than all others there.
    intervals = [interval(25, [*crowd(200), (1, 300, broken)]) for _ in range(4)]
    figures = verdict.verdict(intervals, LIMITS)["figures"]["public"]
    assert (figures["candidate"]["failed"], figures["live"]["failed"]) == (1200, 0)
    assert reasons(*intervals) == []


def test_some_failures_of_each_client_fail_a_candidate() -> None:
    def sometimes(side: str) -> int:
        return 500 if side == "candidate" and next(turn) % 10 == 0 else 200

    turn = iter(range(10**6))
    intervals = [interval(25, crowd(200, status=sometimes)) for _ in range(4)]
    (reason,) = reasons(*intervals)
    assert reason == "25 of 250 failed (public, 25 of 50 clients; live: 0 of 750, 0 of 150 clients)"


def test_a_broken_client_on_the_live_slot_hides_nothing() -> None:
    def candidate_fails(side: str) -> int:
        return 500 if side == "candidate" else 200

    intervals = [interval(25, [*crowd(200, 1, candidate_fails), (99, 5000, broken)])]
    (reason,) = reasons(*intervals)
    assert reason == "50 of 50 failed (public, 50 of 50 clients; live: 5000 of 5150, 1 of 151 clients)"


def test_clients_that_always_fail_on_both_slots_are_no_difference() -> None:
    assert reasons(interval(25, crowd(400, status=broken))) == []


def test_each_client_is_in_one_period_and_on_one_side() -> None:
    intervals = [interval(weight, crowd(1000, 1)) for weight in (5, 25, 25, 50)]
    periods = comparison.look(intervals, intervals, "public").periods
    own, others = ([each.__dict__[name] for each in periods] for name in ("own", "others"))
    numbers = [number for side in (*own, *others) for number in side]
    assert len(numbers) == len(set(numbers)) == 1000
    assert [len(each) for each in own] == [50, 200, 250]
    # From the step on in which it joined the candidate, and as long on the live slot.
    assert [[len(step) for step in each.candidate] for each in periods] == [[1, 2, 1], [2, 1], [1]]
    sizes = [each.stratum for period in periods for each in period.failures("", 1)]
    assert [(each.size, each.others_size) for each in sizes] == [(50, 167), (200, 167), (250, 166)]


def test_with_lines_that_name_no_group_addresses_are_compared_in_the_last_step() -> None:
    def candidate_fails(side: str) -> int:
        return 500 if side == "candidate" else 200

    intervals = [interval(weight, crowd(300, 1, candidate_fails), "a") for weight in (5, 25)]
    assert reasons(*intervals)[0].startswith("75 of 75 failed (public, 72 of 72 clients; live: 0 of 225, 0 of ")


def test_a_client_that_fails_in_all_steps_counts_once() -> None:
    intervals = [interval(weight, [*crowd(1000, 1), (1, 9, broken), (26, 9, broken)]) for weight in (5, 25, 50)]
    looked = comparison.look(intervals, intervals, "public")
    assert sum(each.stratum.hits for period in looked.periods for each in period.failures("", 1)) == 2


def test_after_the_switch_as_long_a_time_before_is_the_baseline() -> None:
    before = [interval(weight, crowd(300)) for weight in (5, 50, 50, 50)]
    since = [interval(100, crowd(300)) for _ in range(2)]
    intervals = [*before, *since]
    looked = comparison.look(intervals, intervals, "public")
    assert [len(side) for side in (looked.candidate, looked.live)] == [2, 2]
    # Only of clients that stayed on the live slot until the end.
    (period,) = looked.periods
    assert [(each.stratum.size, each.stratum.others_size) for each in period.failures("", 1)] == [(300, 150)]
    # Five minutes since then, one before: only the last minute counts.
    intervals = [*before, *(interval(100, crowd(300)) for _ in range(20))]
    looked = comparison.look(intervals, intervals, "public")
    assert [len(side) for side in (looked.candidate, looked.live)] == [4, 4]
    (period,) = looked.periods
    assert [(each.stratum.size, each.stratum.others_size) for each in period.failures("", 1)] == [(300, 150)]
    # Longer intervals than the time before say nothing about clients.
    intervals = [*before, {**interval(100, crowd(300)), "seconds": 180.0}]
    assert not comparison.look(intervals, intervals, "public").possible


def test_after_the_switch_clients_are_compared_with_clients_that_are_as_well_known() -> None:
    # New ones, which have an address only, are no match for those with a cookie.
    def since(kind: str, status: Callable[[str], int]) -> dict[str, Any]:
        return interval(100, crowd(300, status=status), kind)

    before = interval(50, crowd(300))
    assert reasons(before, since("c", broken)) != []
    assert reasons(before, since("n", broken)) == []
    assert reasons(interval(0, crowd(300), kind="a"), since("a", broken)) != []


def test_a_failure_since_the_switch_that_the_live_slots_probes_have_too_does_not_count() -> None:
    def probes(failed: int) -> dict[str, Any]:
        figures = verdict.empty_interval(100)["probes"]["live"] | {
            "requests": 60,
            "failed": failed,
            "latency": {"50": 60},
        }
        return {"live": figures, "candidate": figures}

    turn = iter(range(10**6))
    before = [interval(50, crowd(300)) | {"probes": probes(1)} for _ in range(4)]
    now = interval(100, crowd(300, status=lambda _side: 500 if next(turn) % 10 == 0 else 200))
    assert reasons(*before, now | {"probes": probes(0)}) != []
    assert reasons(*before, now | {"probes": probes(3)}) == []


def test_a_scanner_does_not_hide_a_broken_checkout() -> None:
    def seen(weight: int) -> dict[str, Any]:
        log = EdgeLog(["/"])
        for number in range(4000):
            side = "candidate" if number % 100 < weight else "live"
            log.take(entry(slot=SLOT[side], group=f"n{number % 1000}", path=f"/x{number % 40}", status=404))
        for number in range(0, 1000, 20):
            side = "candidate" if number % 100 < weight else "live"
            status, client = 500 if side == "candidate" else 303, f"10.0.0.{number % 251}"
            for method, path, got in (("GET", "/", 200), ("POST", "/checkout", status)):
                log.take(
                    entry(slot=SLOT[side], group=f"c{number}", client=client, method=method, path=path, status=got)
                )
        pair = log.slots()
        seen: dict[str, Any] = verdict.empty_interval(weight)
        return seen | {"public": {side: pair[slot] for side, slot in SLOT.items()}}

    (reason,) = reasons(seen(50))
    assert reason.startswith("30 of 30 failed (public, all POST /, 30 of 30 clients; live: 0 of 20, 0 of 20 clients)")


# Measuring the coverage of these simulations takes four times as long, and other tests cover the same lines.
@pytest.mark.no_cover
@pytest.mark.parametrize("weight", [5, 50])
def test_false_alarms_are_as_rare_as_promised(weight: int) -> None:
    """Identical releases, 2 % of the clients broken, requests skewed: a test at 1 % is wrong in about 1 % of steps."""
    chance, wrong, wrong_by_request = random.Random(11), 0, 0
    for _ in range(300):
        clients: list[Client] = [
            (
                chance.randrange(1000),
                min(100, int(chance.paretovariate(1.2))),
                broken if chance.random() < 0.02 else lambda _side: 500 if chance.random() < 0.01 else 200,
            )
            for _ in range(150)
        ]
        intervals = [interval(weight, clients)]
        (period,) = comparison.look(intervals, intervals, "public").periods
        wrong += statistics.by_chance([each.stratum for each in period.failures("", 1)]) <= 0.01
        own, live = (comparison.sums(side) for side in (period.candidate[0], period.live[0]))
        wrong_by_request += statistics.more_often(own[1], own[0], live[1], live[0]) <= 0.01
    assert wrong <= 8
    assert wrong_by_request >= 15


# Latencies


def timed(weight: int, milliseconds: Callable[[str, int], float]) -> list[dict[str, Any]]:
    """Four intervals with 200 clients that send 10 requests each."""
    intervals = []
    for _ in range(4):
        log = EdgeLog()
        for number in range(0, 1000, 5):
            side = "candidate" if number % 100 < weight else "live"
            for _ in range(10):
                log.take(entry(slot=SLOT[side], group=f"c{number}", ms=milliseconds(side, number)))
        intervals.append(
            verdict.empty_interval(weight) | {"public": {side: log.slots()[slot] for side, slot in SLOT.items()}}
        )
    return intervals


@pytest.mark.parametrize(
    ("milliseconds", "found"),
    [
        (lambda side, _number: 20, []),
        # Some clients are slow, on both slots.
        (lambda _side, number: 900 if number // 100 == 3 else 20, []),
        (lambda side, _number: 200 if side == "candidate" else 20, ["p50 is 204 ms (public; live: 21 ms)"]),
        # One client, with more of it than all others together.
        (lambda side, number: 5000 if number == 5 else 20, []),
    ],
)
def test_clients_are_slow_or_not(milliseconds: Callable[[str, int], float], found: list[str]) -> None:
    assert reasons(*timed(20, milliseconds))[:1] == found


def test_rare_slow_requests_are_found_in_public_requests_and_probes_together() -> None:
    def probes(slow: int) -> dict[str, Any]:
        slots = {}
        for side, late in (("live", 0), ("candidate", slow)):
            figures = verdict.empty_interval(5)["probes"]["live"] | {"requests": 60}
            slots[side] = figures | {"latency": {statistics.bucket(20): 60 - late, statistics.bucket(1500): late}}
        return slots

    def public(late: int) -> dict[str, Any]:
        log = EdgeLog()
        for number in range(0, 1000, 5):
            side = "candidate" if number % 100 < 25 else "live"
            ms = 1500 if side == "candidate" and number % 1000 < 100 * late else 20
            log.take(entry(slot=SLOT[side], group=f"c{number}", ms=ms))
        return {side: log.slots()[slot] for side, slot in SLOT.items()}

    def intervals(late: int, slow: int) -> list[dict[str, Any]]:
        return [verdict.empty_interval(25) | {"public": public(late), "probes": probes(slow)} for _ in range(4)]

    assert reasons(*intervals(1, 0)) == reasons(*intervals(0, 2)) == []
    (reason,) = reasons(*intervals(1, 2))
    assert reason.startswith("p99 is ")
    assert "(public; live: 21 ms) and 1508 ms (probes; live: 21 ms)" in reason


# The business metric


def ordered(clients: Iterable[tuple[int, int]], counted: tuple[int, int]) -> dict[str, Any]:
    """An interval in which clients send (number, orders), and metrics pages count (live, candidate) orders."""
    seen = interval(50, [(number, orders, fine) for number, orders in clients], method="POST")
    for side, number in zip(("live", "candidate"), counted, strict=True):
        seen["watched"][side] = [
            {"service": "shop", "host": "app1", "metric": float(number), "memory": None, "problems": [], "unread": []}
        ]
    return seen


def test_missing_orders_of_many_clients_fail_a_candidate() -> None:
    clients = [(number * 10, 1) for number in range(100)]
    assert reasons(ordered(clients, (50, 50))) == []
    assert reasons(ordered(clients, (50, 5))) == ["the business metric rose by 5, but by 50 at the live slot's rate"]


def test_a_client_that_orders_all_the_time_fails_no_candidate() -> None:
    # Half of the orders come from one client, which is on the live slot; or it tries, on the candidate, in vain.
    clients = [(number * 10, 1) for number in range(100)]
    assert reasons(ordered([*clients, (99, 200)], (250, 50))) == []
    assert reasons(ordered([*clients, (1, 200)], (50, 50))) == []


# The level


@pytest.mark.parametrize("planned", [1, 2, 4, 20])
def test_the_verdicts_of_a_step_share_its_level(planned: int) -> None:
    assert sum(verdict.part(left, planned) for left in range(planned)) == pytest.approx(1)


def test_comparisons_that_can_not_be_significant_take_no_part_of_the_level() -> None:
    def finding(hits: int, name: str) -> worse.Finding:
        return worse.Finding((name,), name, True, [statistics.Stratum(hits, 50, 0, 50)])

    clear = finding(10, "clear")
    assert statistics.least(clear.strata) == pytest.approx(statistics.by_chance(clear.strata))
    level = statistics.by_chance(clear.strata) * 1.5
    few = [finding(3, str(number)) for number in range(50)]
    assert list(worse._significant([clear, *few], level)) == [clear]
    assert list(worse._significant([clear, finding(11, "clearer")], level)) == [finding(11, "clearer")]
    assert list(worse._significant([], level)) == []
