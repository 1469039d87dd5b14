# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What was not observed is no pass, however good the rest looks."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import figures
from ansible.module_utils.greenroom.canary.edge_log import EdgeLog
from ansible.module_utils.greenroom.controller.canary import step, watch
from canary_rows import LIMITS, PLAN, bundle, counted, probed, traffic
from edge_log import entry

CATALOGUE: dict[str, Any] = {"shop": {"memory": "256M", "routes": [], "canary": None}}
NOWHERE = {"backend": "nowhere", "server": "<NOSRV>", "status": 404, "termination": "LR", "path": "/checkout"}


def judged(seen: dict[str, Any] | None = None, weight: int = 5, missing: Any = (), **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = step.begun(None, {**PLAN, "weight": weight})
    result = step.continued(result, seen or probed(), traffic(**more), {}, LIMITS, missing=missing)
    return result


def logged(*lines: str) -> dict[str, Any]:
    """The figures of both slots from these lines of the edge's log."""
    log = EdgeLog()
    for line in lines:
        log.take(line)
    slots: dict[str, Any] = log.slots()
    return slots


def test_without_gaps_it_passes() -> None:
    assert judged()["verdict"] == "pass"


# A candidate without a route


def test_a_route_that_only_the_live_slot_has_fails() -> None:
    ok = {"chosen": "live", "slot": "blue", "path": "/checkout", "backend": "shop_http_blue"}
    lines = [entry(**(ok if number < 16 else NOWHERE), client=f"10.0.0.{number}") for number in range(24)]
    for slot, clients in (("blue", 500), ("green", 400)):
        lines += [
            entry(slot=slot, path="/", client=f"10.1.{number // 250}.{number % 250}") for number in range(clients)
        ]
    result = judged(**logged(*lines))
    assert result["verdict"] == "fail"
    reason = "8 of 8 were refused (public, GET /checkout, 8 of 8 clients; live: 0 of 16, 0 of 16 clients)"
    assert reason in result["reasons"]


def test_a_path_without_a_route_in_both_slots_is_no_difference() -> None:
    lines = [
        entry(**NOWHERE, **({"chosen": "live", "slot": "blue"} if number < 50 else {}), client=f"10.0.0.{number}")
        for number in range(60)
    ]
    for slot, clients in (("blue", 500), ("green", 100)):
        lines += [
            entry(slot=slot, path="/", client=f"10.1.{number // 250}.{number % 250}") for number in range(clients)
        ]
    assert judged(**logged(*lines))["verdict"] == "pass"


def test_a_probed_path_that_the_candidate_never_responds_to_is_no_pass() -> None:
    probes = {"live": figures.merged([counted(60), counted(60, route="/readyz")]), "candidate": counted(60)}
    result = judged(probed(probes=probes))
    assert (result["verdict"], result["reasons"]) == ("no data", ["no probe of /readyz got a response from green"])
    # Too few to say so: probing ended early, or one response was late.
    probes["live"] = figures.merged([counted(60), counted(4, route="/readyz")])
    assert judged(probed(probes=probes))["verdict"] == "pass"


# Requests that hang


@pytest.mark.parametrize(
    ("waiting", "blue", "green", "verdict"),
    [
        ({"green": 3}, 1000, 50, "no data"),
        ({"green": 1}, 0, 0, "no data"),
        # As many as on the live slot: this is how the service works.
        ({"green": 3, "blue": 60}, 1000, 50, "pass"),
        ({"blue": 9}, 1000, 50, "pass"),
    ],
)
def test_requests_without_a_response_are_no_pass(waiting: dict[str, int], blue: int, green: int, verdict: str) -> None:
    result = judged(blue=counted(blue), green=counted(green), waiting=waiting)
    assert result["verdict"] == verdict
    said = [f"{waiting.get('green')} requests to green still have no response"]
    assert result["reasons"] == ([] if verdict == "pass" else said)


# A log that is not complete


def test_a_truncated_log_is_no_pass() -> None:
    result = judged(blue=counted(1000), green=counted(1000), gaps=["its log no longer goes back to the last reading"])
    assert (result["verdict"], result["reasons"]) == (
        "no data",
        ["edge1: its log no longer goes back to the last reading"],
    )


# A metrics page that is gone

NO_PAGE = (
    "shop has a metrics page in the other slot, but not in green: give it one in its service.yml, or cut over without "
    "a canary and with -e bake=0"
)


@pytest.mark.parametrize(
    "changes", [{"metrics": None}, {"ports": {}}, {"ports": {"metrics": {"host": {"green": 2}, "bind": "127.0.0.1"}}}]
)
def test_a_page_that_the_candidate_no_longer_has_is_no_pass(changes: dict[str, Any]) -> None:
    bundles = {"blue": bundle("blue", 1), "green": bundle("green", 2, **changes)}
    missing = watch.missing_pages(bundles, CATALOGUE, "green")
    assert missing == [NO_PAGE]
    result = judged(missing=missing)
    assert (result["verdict"], result["reasons"]) == ("no data", [NO_PAGE])


@pytest.mark.parametrize(
    ("blue", "green"),
    [
        ({}, {}),
        # A page that this release adds, and one that no release has.
        ({"metrics": None}, {}),
        ({"metrics": None}, {"metrics": None}),
        # A service that becomes a background service has another way to be watched.
        ({}, {"activation": "live_only"}),
    ],
)
def test_other_changes_of_a_page_are_no_gap(blue: dict[str, Any], green: dict[str, Any]) -> None:
    bundles = {"blue": bundle("blue", 1, **blue), "green": bundle("green", 2, **green)}
    assert watch.missing_pages(bundles, CATALOGUE, "green") == []


def test_a_service_that_the_candidate_does_not_have_is_no_gap() -> None:
    bundles = {"blue": bundle("blue", 1, {"old": {"activation": "always"}}), "green": bundle("green", 2)}
    old, shop = (bundles["blue"]["services"][name] for name in ("old", "shop"))
    old |= {key: shop[key] for key in ("metrics", "ports")}
    assert watch.missing_pages(bundles, CATALOGUE, "green") == []
    assert watch.missing_pages({"blue": bundle("blue", 1)}, CATALOGUE, "green") == []


# A baseline that is too short


def baked(seconds: float, before: int, after: int) -> dict[str, Any]:
    result: dict[str, Any] = step.begun(None, {**PLAN, "weight": 100})
    result = step.opened(result, traffic(blue=counted(before), seconds=seconds), {}, 600)
    result = step.continued(result, probed(), traffic(green=counted(after)), {}, LIMITS)
    return result


def test_a_baseline_that_served_too_short_is_no_pass() -> None:
    result = baked(40.0, 12, 200)
    assert (result["verdict"], result["reasons"]) == (
        "no data",
        [
            "blue served for only 40 s before: its 12 public requests are too few to compare with (it needs 50)",
        ],
    )


@pytest.mark.parametrize(
    ("seconds", "before", "after"),
    [
        # Short, but there was enough traffic, or there is too little now, too: probes decide.
        (40.0, 50, 200),
        (40.0, 12, 49),
        # Little traffic before is no fault of the baseline.
        (600.0, 12, 200),
        (599.2, 0, 200),
    ],
)
def test_a_baseline_that_is_long_enough_is_compared(seconds: float, before: int, after: int) -> None:
    assert baked(seconds, before, after)["verdict"] == "pass"
