# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The verdict: what fails a candidate, what does not, and that silence is no consent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import figures as canary_figures
from ansible.module_utils.greenroom.canary import metrics_page, verdict
from ansible.module_utils.greenroom.canary.limits import Limits
from ansible.module_utils.greenroom.controller.canary import step

from bench.canary import simulate

# The role's defaults.
LIMITS = Limits(**dataclasses.asdict(simulate.LIMITS))


def figures(requests: int, failed: int = 0, refused: int = 0, ms: float = 20, slow: int = 0) -> dict[str, Any]:
    """`slow` of them take 50 times as long; a route of its own gets what fails."""
    result: dict[str, Any] = canary_figures.empty()
    for number in range(requests):
        status = 500 if number < failed else 404 if number < failed + refused else 200
        route = "GET /bad" if number < failed or number % 10 == 0 else "GET /"
        canary_figures.note(result, route, status, ms * 50 if number >= requests - slow else ms)
    return result


def process(**changes: Any) -> dict[str, Any]:
    return {
        "service": "shop",
        "host": "app1",
        "metric": None,
        "memory": None,
        "limit": 256 * 2**20,
        "problems": [],
        "unread": [],
        **changes,
    }


def piece(
    weight: int = 5,
    probes: tuple[Any, Any] = (None, None),
    public: tuple[Any, Any] = (None, None),
    watched: tuple[Any, Any] = (None, None),
    **more: Any,
) -> dict[str, Any]:
    """An interval; each pair is (live, candidate)."""
    seen = verdict.empty_interval(weight)
    for name, pair in (("probes", probes), ("public", public)):
        seen[name] = {
            side: each or canary_figures.empty() for side, each in zip(("live", "candidate"), pair, strict=True)
        }
    seen["watched"] = {side: [each] if each else [] for side, each in zip(("live", "candidate"), watched, strict=True)}
    return {**seen, **more}


GOOD = (figures(100), figures(100))


def test_equal_releases_pass() -> None:
    result = verdict.verdict([piece(probes=GOOD)] * 4, LIMITS)
    assert (result["verdict"], result["reasons"]) == ("pass", [])
    assert result["figures"]["probes"]["candidate"]["requests"] == 400


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([piece(probes=(figures(100), figures(100, failed=20)))], "20 of 100 failed (probes; live: 0 of 100)"),
        ([piece(public=(figures(1000, failed=2), figures(100, failed=15)), probes=GOOD)], "15 of 100 failed (public"),
        ([piece(probes=(figures(100), figures(100, refused=40)))], "40 of 100 were refused"),
        ([piece(probes=(figures(100), figures(100, ms=200))) for _ in range(3)], "p50 is "),
        ([piece(probes=(figures(300), figures(300, slow=30))) for _ in range(3)], "p99 is "),
        ([piece(probes=GOOD, watched=(None, process(problems=["shop on app1 was restarted"])))], "was restarted"),
        ([piece(probes=GOOD, journeys=["A persona logs in: expected status 303, got status 500"])], "logs in"),
        # Good for long, and bad now.
        ([piece(probes=GOOD)] * 12 + [piece(100, probes=(figures(100), figures(100, failed=25)))], "25 of 100 failed"),
        # A little of it, all the time.
        ([piece(probes=(figures(100), figures(100, failed=4)))] * 8, "16 of 400 failed"),
    ],
)
def test_a_worse_candidate_fails(pieces: list[Any], reason: str) -> None:
    result = verdict.verdict(pieces, LIMITS)
    assert result["verdict"] == "fail"
    assert any(reason in said for said in result["reasons"]), result["reasons"]


@pytest.mark.parametrize(
    "pieces",
    [
        # So does the live slot.
        [piece(probes=(figures(100, failed=20), figures(100, failed=22)))] * 4,
        # Three errors may happen to anybody.
        [piece(probes=(figures(100), figures(100, failed=3)))] + [piece(probes=GOOD)] * 3,
        # More than chance, and less than anybody minds.
        [piece(public=(figures(20000), figures(20000, failed=15)))],
        # A database that is away for a moment, just when the candidate has half of the public, and little before.
        [
            piece(5, public=(figures(1900), figures(100)), probes=GOOD),
            piece(50, public=(figures(1000, failed=300), figures(1000, failed=300)), probes=GOOD),
        ],
        # One pause, in one interval.
        [piece(probes=GOOD)] * 3 + [piece(probes=(figures(100), figures(100, slow=40)))],
        # Cold caches in the first one.
        [piece(probes=(figures(100), figures(100, ms=200)))] + [piece(probes=GOOD) for _ in range(3)],
        # A little slower.
        [piece(probes=(figures(100), figures(100, ms=25))) for _ in range(4)],
    ],
)
def test_a_candidate_that_is_not_worse_passes(pieces: list[Any]) -> None:
    assert verdict.verdict(pieces, LIMITS)["verdict"] == "pass"


def test_a_bad_route_is_detected_among_many_good_ones() -> None:
    lives, own = figures(5000), figures(5000)
    for each, bad in ((lives, 0), (own, 40)):
        for number in range(50):
            canary_figures.note(each, "POST /login", 500 if number < bad else 200, 20)
    result = verdict.verdict([piece(public=(lives, own))], LIMITS)
    assert any("40 of 50 failed (public, POST /login; live: 0 of 50)" in said for said in result["reasons"])


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([], "too few requests"),
        ([piece()], "too few requests"),
        ([piece(probes=(figures(100), figures(49)))], "0 of public and 49 of probes; each slot needs 50"),
        ([piece(probes=(figures(49), figures(100)))], "too few requests"),
        # Enough at an earlier step is not enough at this one.
        ([piece(5, probes=GOOD), piece(25)], "too few requests"),
        ([piece(notes=["3 probes got status 401 from the edge itself"])], "status 401"),
        (
            [piece(probes=GOOD, watched=(process(unread=["orders of shop on app1"]), process()))],
            "can't read orders",
        ),
    ],
)
def test_no_data_is_no_pass(pieces: list[Any], reason: str) -> None:
    result = verdict.verdict(pieces, LIMITS)
    assert result["verdict"] == "no data"
    assert any(reason in said for said in result["reasons"]), result["reasons"]


def test_after_the_cutover_the_baseline_is_the_live_slots_past() -> None:
    before = [piece(50, public=(figures(1000), figures(1000)))]
    assert verdict.verdict([*before, piece(100, public=(None, figures(500)))], LIMITS)["verdict"] == "pass"
    bad = verdict.verdict([*before, piece(100, public=(None, figures(500, failed=50)))], LIMITS)
    assert bad["verdict"] == "fail"


def test_failures_of_both_slots_after_the_cutover_do_not_count() -> None:
    before = [piece(50, public=(figures(1000), figures(1000)), probes=GOOD)]
    calm = piece(100, public=(None, figures(500)), probes=GOOD)
    storm = piece(100, public=(None, figures(500, failed=50)), probes=(figures(60, failed=9), figures(60, failed=8)))
    assert verdict.verdict([*before, calm, storm], LIMITS)["verdict"] == "pass"
    result = verdict.verdict([*before, storm, storm], LIMITS)
    assert result["verdict"] == "no data"
    assert "the baseline slot fails more than before, too" in result["reasons"][-1]


def test_missing_orders_fail_a_candidate() -> None:
    def seen(live: float, candidate: float) -> list[Any]:
        watched = (process(metric=live), process(metric=candidate))
        return [piece(50, public=(figures(1000), figures(1000)), watched=watched)]

    assert verdict.verdict(seen(40, 35), LIMITS)["verdict"] == "pass"
    result = verdict.verdict(seen(40, 2), LIMITS)
    assert result["reasons"] == ["the business metric rose by 2, but by 40 at the live slot's rate"]
    # Too few to say anything.
    assert verdict.verdict(seen(4, 0), LIMITS)["verdict"] == "pass"


def test_a_restart_of_the_live_release_does_not_hide_missing_orders() -> None:
    target = {"service": "shop", "host": "app1", "metric": "orders", "memory": 0, "release": "1.1"}
    page = {"memory": None, "release": None}
    lives = [
        metrics_page.compared(target, {**page, **begin}, {**page, **end})
        for begin, end in (
            ({"metric": 900.0, "started": 1.0}, {"metric": 38.0, "started": 2.0}),
            ({"metric": 38.0, "started": 2.0}, {"metric": 78.0, "started": 2.0}),
        )
    ]
    public = (figures(1000), figures(1000))
    pieces = [piece(50, public=public, watched=(live, process(metric=0.0))) for live in lives]
    result = verdict.verdict(pieces, LIMITS)
    assert result["reasons"] == ["the business metric rose by 0, but by 78 at the live slot's rate"]


def test_an_interval_without_the_metric_of_a_process_is_not_compared() -> None:
    gone = process(unread=["the metrics of shop on app1"])
    public = (figures(1000), figures(1000))
    for watched in ((process(metric=40), gone), (gone, process(metric=40))):
        pieces = [
            piece(50, public=public, watched=watched, probes=GOOD),
            piece(50, public=public, watched=(process(metric=40), process(metric=40)), probes=GOOD),
        ]
        assert verdict.verdict(pieces, LIMITS)["verdict"] == "pass"


def test_memory_is_compared_with_the_live_slots() -> None:
    def seen(own: Callable[[int], float], usual: Callable[[int], float], seconds: float = 100) -> list[Any]:
        return [
            piece(
                probes=GOOD,
                watched=(process(memory=usual(n) * 2**20), process(memory=own(n) * 2**20)),
                seconds=seconds,
            )
            for n in range(20)
        ]

    leak = verdict.verdict(seen(lambda n: 60 + 3 * n, lambda n: 60.0), LIMITS)
    assert leak["reasons"] == ["memory of shop on app1 keeps growing (27 MiB recently, 117 of 256 MiB)"]
    # The release before does the same.
    assert verdict.verdict(seen(lambda n: 60 + 3 * n, lambda n: 60 + 2.5 * n), LIMITS)["verdict"] == "pass"
    # A process that has just begun fills its memory for a while.
    assert verdict.verdict(seen(lambda n: 60 + 3 * n, lambda n: 60.0, 15), LIMITS)["verdict"] == "pass"


def test_a_verdict_is_one_line() -> None:
    result = verdict.verdict([piece(probes=GOOD, watched=(process(metric=5), process(metric=4)))], LIMITS)
    line = verdict.line(result, "green", "blue", 5)
    assert line == (
        "pass: green at 5 % (baseline blue): "
        "probes 100 (100), failed 0 (0), p50 21 (21) ms, p99 21 (21) ms; metric 4 (5)"
    )
    assert verdict.line(verdict.verdict([], LIMITS), "green", "blue", 5).startswith(
        "no data: green at 5 % (baseline blue)"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"minimum": 0},
        {"alpha": 0},
        {"alpha": 1},
        {"latency_factor": 0.5},
        {"error_margin": -1},
        {"metric_drop": 1.5},
    ],
)
def test_invalid_limits_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"canary_{next(iter(wrong))}"):
        dataclasses.replace(LIMITS, **wrong)


# A step, interval by interval


PLAN = {"slot": "green", "weight": 5, "began": 1000.0, "seconds": 60.0, "interval": 15.0}


def probed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in piece(probes=GOOD).items() if key in ("probes", "watched", "notes")} | {
        "seconds": 15.2,
        "changed": False,
        **changes,
    }


def traffic(**slots: Any) -> dict[str, Any]:
    found = {"blue": canary_figures.empty(), "green": canary_figures.empty()} | slots
    return {"edge1": {"slots": found, "mark": {"place": "c7"}, "gaps": [], "waiting": {}, "seconds": 600.0}}


def test_a_step_collects_its_intervals() -> None:
    result = step.begun(None, PLAN)
    assert (result["verdict"], result["left"], result["length"]) == ("no data", 4, 15.0)
    for left in (3, 2, 1, 0):
        result = step.continued(result, probed(), traffic(blue=figures(30), green=figures(3)), {}, LIMITS)
        assert (result["left"], result["verdict"]) == (left, "pass")
    assert result["marks"] == {"edge1": {"place": "c7"}}
    assert result["seconds"] == 60.8
    assert result["figures"]["public"]["candidate"]["requests"] == 12
    following = step.begun(result, {**PLAN, "weight": 25})
    assert (len(following["intervals"]), following["verdict"], following["left"]) == (4, "no data", 4)
    for other in ({"began": 2000.0}, {"slot": "blue"}):
        assert step.begun(result, {**PLAN, **other})["intervals"] == []


def test_a_fail_ends_the_step_at_once() -> None:
    bad = probed(probes=piece(probes=(figures(60), figures(60, failed=30)))["probes"])
    result = step.continued(step.begun(None, PLAN), bad, traffic(), {}, LIMITS)
    assert (result["verdict"], result["left"]) == ("fail", 0)


@pytest.mark.parametrize(
    ("journeys", "reason"),
    [
        (
            {"checks": [{"name": "login", "ok": False, "expected": "status 303", "got": "status 500"}]},
            "login: expected",
        ),
        ({"msg": "checks[0]: unknown key"}, "unknown key"),
    ],
)
def test_a_failed_smoke_check_is_a_reason(journeys: dict[str, Any], reason: str) -> None:
    result = step.continued(step.begun(None, PLAN), probed(), traffic(), journeys, LIMITS)
    assert result["verdict"] == "fail"
    assert reason in result["line"]


def test_a_skipped_smoke_check_is_not_a_reason() -> None:
    skipped = {"skipped": True, "skip_reason": "Conditional result was False", "changed": False}
    assert step.continued(step.begun(None, PLAN), probed(), traffic(), skipped, LIMITS)["verdict"] == "pass"


def test_a_log_that_was_not_read_completely_is_reported() -> None:
    cut = traffic()
    cut["edge1"]["gaps"] = ["logged more than the 9 lines that were read"]
    result = step.continued(step.begun(None, PLAN), probed(probes=piece()["probes"]), cut, {}, LIMITS)
    assert "edge1: logged more than the 9 lines that were read" in result["reasons"]
    # Even with enough probes: what is missing may have failed. A later interval doesn't bring it back.
    result = step.continued(step.begun(None, PLAN), probed(), cut, {}, LIMITS)
    assert (result["verdict"], result["reasons"]) == ("no data", ["edge1: logged more than the 9 lines that were read"])
    assert step.continued(result, probed(), traffic(), {}, LIMITS)["verdict"] == "no data"


def test_a_long_step_has_longer_intervals() -> None:
    result = step.begun(None, {**PLAN, "seconds": 3600.0})
    assert (result["left"], result["length"]) == (20, 180.0)


def test_a_slot_that_got_all_traffic_at_once_is_compared_with_the_past() -> None:
    result = step.opened(step.begun(None, {**PLAN, "weight": 100}), traffic(blue=figures(500)), {}, 600)
    result = step.continued(result, probed(), traffic(green=figures(200, failed=40)), {}, LIMITS)
    assert any("40 of 200 failed (public; live: 0 of 500)" in reason for reason in result["reasons"])
