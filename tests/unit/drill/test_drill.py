# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a drill expects, and what keeps one from being held."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.drill import drill, scenarios
from drill_samples import T0, UNITS, broken, record, requests, run, sample

FAULTS = sorted(scenarios.SCENARIOS)


def missed(result: dict[str, Any]) -> list[str]:
    """What was not as expected."""
    assert result["verdict"] == ("fail" if any(not one["ok"] for one in result["expectations"]) else "pass")
    return [one["what"] for one in result["expectations"] if not one["ok"]]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_drill_in_which_all_went_well_passes(fault: str) -> None:
    assert missed(drill.judge(*sample(fault))) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_no_load_is_no_pass(fault: str) -> None:
    happened, _ = sample(fault)
    assert "the load runs from before the cutover until after the end" in missed(drill.judge(happened, []))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_load_that_ends_early_is_no_pass(fault: str) -> None:
    happened, sent = sample(fault)
    early = [request for request in sent if request["sent_at"] < T0 + 10]
    assert "the load runs from before the cutover until after the end" in missed(drill.judge(happened, early))


@pytest.mark.parametrize("fault", FAULTS)
def test_one_request_lost_before_anything_breaks_fails_it(fault: str) -> None:
    happened, sent = sample(fault)
    # The kind matters: a WebSocket is held open for seconds and may be hit by what breaks later.
    first = next(request for request in sent if request["kind"] == "h1-new-get-0")
    first |= {"outcome": "reset", "status": 0}
    (what,) = missed(drill.judge(happened, sent))
    assert what.startswith("requests lost")


@pytest.mark.parametrize("fault", FAULTS)
def test_another_live_slot_at_the_end_of_one_edge_fails_it(fault: str) -> None:
    happened, sent = sample(fault)
    happened["after"]["edges"]["edge2"] |= {"live": "green"}
    assert missed(drill.judge(happened, sent)) == ["live slot on all edge hosts at the end"]


@pytest.mark.parametrize(
    "left",
    [{"phase": "canary"}, {"in_force": False}, {"epoch": 8}],
    ids=["an operation", "not in force", "another epoch"],
)
def test_an_edge_that_is_not_settled_at_the_end_fails_it(left: dict[str, Any]) -> None:
    happened, sent = sample("none")
    happened["after"]["edges"]["edge2"] |= left
    assert missed(drill.judge(happened, sent)) == ["live slot on all edge hosts at the end"]


def test_a_service_that_does_not_run_any_more_fails_it() -> None:
    happened, sent = sample("none")
    happened["after"] = copy.deepcopy(happened["after"])
    happened["after"]["units"]["app1"].remove("shop-green.service")
    result = drill.judge(happened, sent)
    assert missed(result) == ["services that ran before the drill run again"]
    assert result["expectations"][-1]["found"] == "not app1: shop-green.service"


def test_a_host_that_says_nothing_at_the_end_fails_it() -> None:
    happened, sent = sample("none")
    happened["after"] = {"edges": {}, "units": {}}
    assert len(missed(drill.judge(happened, sent))) == 2


def test_trouble_fails_it_whatever_else_was_well() -> None:
    happened, sent = sample("none")
    result = drill.judge(happened | {"trouble": "Roll back: no such file"}, sent)
    assert missed(result) == ["the drill runs to its end"]


@pytest.mark.parametrize(
    ("fault", "code", "wanted"),
    [
        ("none", 2, "done"),
        ("candidate-unhealthy", 0, "refused"),
        ("operator-killed", 0, "killed"),
        ("edge-killed", -9, ""),
    ],
)
def test_a_cut_over_that_ends_otherwise_fails_it(fault: str, code: int, wanted: str) -> None:
    happened, sent = sample(fault)
    happened["children"][0]["code"] = code
    result = drill.judge(happened, sent)
    assert missed(result) == ["the cutover"]
    (told,) = [one["wanted"] for one in result["expectations"] if not one["ok"]]
    assert told == (wanted or "done or refused")


def test_a_fault_that_comes_too_late_has_practised_nothing() -> None:
    late = broken("edge1", "killed", 29, 29.4, "haproxy.service")
    happened = record("edge-killed", 60, [run("cutover", 6, 28), run("rollback", 40, 50)], late)
    assert missed(drill.judge(happened, requests(60, lambda _at: "blue"))) == ["time of the fault"]


def test_a_fault_that_nobody_notices_has_practised_nothing() -> None:
    happened, sent = sample("fails-after-cutover")
    for request in sent:
        request |= {"outcome": "ok", "slot": "green", "status": 200}
    assert missed(drill.judge(happened, sent)) == ["requests lost during the fault"]


@pytest.mark.parametrize("code", [0, -9, None])
def test_a_rollback_to_what_does_not_start_must_be_refused(code: int | None) -> None:
    happened, sent = sample("previous-does-not-start")
    happened["children"][1]["code"] = code
    assert missed(drill.judge(happened, sent)) == ["a rollback during the fault"]
    del happened["children"][1]
    assert missed(drill.judge(happened, sent)) == ["a rollback during the fault"]


def test_requests_lost_after_the_time_to_recover_fail_it() -> None:
    happened, sent = sample("edge-killed")
    late = next(request for request in sent if request["sent_at"] > T0 + 40)
    late |= {"outcome": "timeout"}
    result = drill.judge(happened, sent)
    assert missed(result) == ["requests lost before the fault or after the recovery time"]
    assert result["figures"]["lost_outside"] == 1


def test_a_websocket_that_was_open_when_it_broke_counts_as_hit_by_it() -> None:
    happened, sent = sample("edge-killed")
    opened = next(request for request in sent if request["kind"] == "ws-10000" and request["sent_at"] > T0 + 15)
    opened |= {"outcome": "ws_closed"}
    assert missed(drill.judge(happened, sent)) == []


def test_what_was_never_sent_is_neither_sent_nor_lost_but_told() -> None:
    happened, sent = sample("none")
    sent[100] |= {"outcome": "unsent"}
    result = drill.judge(happened, sent)
    assert (result["figures"]["sent"], result["figures"]["lost"]) == (len(sent) - 1, 0)
    assert missed(result) == ["the load generator keeps up"]


def test_zero_lost_is_said_as_what_it_can_mean() -> None:
    figures = drill.figures(requests(100, lambda _at: "blue"))
    assert figures["sent"] == 4100
    assert figures["lost_at_most_per_million"] == pytest.approx(3 / 4100 * 1e6, abs=0.1)
    assert figures["kinds"]["ws-10000"] == {"sent": 100, "lost": 0}


def test_latency_is_without_the_handlers_own_time() -> None:
    plain = {"id": "1", "sent_at": T0, "status": 200, "slot": "blue", "outcome": "ok"}
    slow, quick = plain | {"kind": "h2-keep-post-300", "ms": 312.0}, plain | {"kind": "ws-10000", "ms": 7.0}
    assert [drill.latency(slow), drill.latency(quick)] == [12.0, 7.0]
    (second,) = drill.series([slow, quick])
    assert (second["p50_ms"], second["p99_ms"], second["slots"]) == (7.0, 12.0, {"blue": 2})


def test_no_answers_have_no_latency() -> None:
    assert drill.percentile([], 99) == 0.0
    assert drill.percentile([1.0], 50) == 1.0
    assert drill.percentile([float(number) for number in range(1, 101)], 99) == 99.0


# What keeps one from being held.

SHOP = {"services": {"shop": {"group": "app", "routes": [{"path": "/"}]}}}
SEEN: dict[str, Any] = {
    "protected": False,
    "image": "visitors",
    "endpoints": True,
    "rate": 50.0,
    "limit": 0,
    "live": "blue",
    "idle": "green",
    "bundles": {"blue": SHOP, "green": SHOP},
    "service": "",
    "edges": {"edge1": {"live": "blue", "phase": "idle", "in_force": True}},
    "address": "192.0.2.10",
    "groups": {"edge": ["edge1", "edge2"], "app": ["app1"], "data": ["data1"]},
    "broken": {"app1": []},
    "clock": -0.4,
}
EDGE = SEEN["edges"]["edge1"]


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_keeps_a_drill_from_an_environment_in_order(fault: str) -> None:
    assert scenarios.refusals(fault, SEEN) == []


@pytest.mark.parametrize(
    ("fault", "change", "why"),
    [
        ("nothing", {}, "there is no fault 'nothing'; choose one of none, candidate-unhealthy, "),
        ("none", {"image": ""}, "no image `visitors`"),
        ("none", {"endpoints": False}, "set another path: -e drill_path=/"),
        ("none", {"limit": 2999}, "allow 2999 requests a minute from one address, and the load sends 3000; set a"),
        ("none", {"live": None}, "no slot is live"),
        ("candidate-unhealthy", {"service": "shpo"}, "drill_service: the slot has no service shpo"),
        ("previous-does-not-start", {"service": "shpo"}, "drill_service: the slot has no service shpo"),
        ("none", {"bundles": {"blue": {}}}, "the green slot is empty; deploy a release to it first"),
        ("database-restarted", {"protected": True}, "the environment is protected"),
        (
            "database-restarted",
            {"groups": {"edge": ["edge1"], "data": []}},
            "the group data, in which this fault happens, has no hosts",
        ),
        ("edge-killed", {"groups": {"edge": ["edge1"]}}, "no two edge hosts share an address"),
        ("edge-killed", {"address": ""}, "no two edge hosts share an address"),
        ("none", {"edges": {"edge1": EDGE | {"phase": "canary"}}}, "an operation is in progress on edge1 (canary)"),
        ("none", {"edges": {"edge1": EDGE | {"live": "green"}}}, "blue is not in effect on edge1"),
        ("none", {"edges": {"edge1": EDGE | {"in_force": False}}}, "blue is not in effect on edge1"),
        ("none", {"broken": {"app1": ["shop.service"]}}, "an earlier drill keeps shop.service down on app1"),
        ("none", {"clock": 7.0}, "differ by 7 s"),
    ],
)
def test_what_keeps_a_drill_from_being_held_is_told(fault: str, change: dict[str, Any], why: str) -> None:
    (line,) = scenarios.refusals(fault, SEEN | change)
    assert why in line


@pytest.mark.parametrize(
    ("load", "toggles", "has"),
    [
        (None, {}, False),
        ({}, {}, True),
        ({"toggle": "load_test"}, {"load_test": True}, True),
        ({"toggle": "load_test"}, {"load_test": False}, False),
        # The bundle is of an earlier version.
        ({"toggle": "load_test"}, None, False),
    ],
)
def test_the_load_needs_its_endpoints_in_both_slots(load: Any, toggles: Any, has: bool) -> None:
    always: dict[str, Any] = {"toggles": {}, "services": {"shop": {"load": {}}}}
    found = {"toggles": toggles, "services": {"shop": {"load": load}, "worker": {}}}
    assert scenarios.endpoints({"blue": always, "green": found}) is has
    assert scenarios.endpoints({"blue": found, "green": always}) is has


def test_a_limit_that_the_load_keeps_is_none() -> None:
    assert scenarios.refusals("none", SEEN | {"limit": 3000}) == []


def test_a_protected_environment_may_practise_without_a_fault() -> None:
    assert scenarios.refusals("none", SEEN | {"protected": True}) == []


def test_the_service_that_breaks_is_the_one_that_clients_see() -> None:
    services = {
        "about": {"group": "app", "routes": [{"path": "/about"}]},
        "shop": {"group": "app", "routes": [{"path": "/cart"}, {"path": "/"}]},
        "worker": {"group": "jobs", "routes": []},
    }
    assert scenarios.service({"services": services}) == {"name": "shop", "group": "app"}
    assert scenarios.service({"services": services}, "worker") == {"name": "worker", "group": "jobs"}
    with pytest.raises(ValueError, match="no service cart"):
        scenarios.service({"services": services}, "cart")
    with pytest.raises(ValueError, match="no service has a route"):
        scenarios.service({"services": {"worker": services["worker"]}})


def test_units_that_ran_are_missed_by_host() -> None:
    assert drill.faults.outcome(UNITS, UNITS) == {}
    assert drill.faults.outcome(UNITS, {}) == UNITS
