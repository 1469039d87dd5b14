# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A route on which the candidate served nobody is no pass, even if too few clients came to fail it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.canary.edge_log import EdgeLog
from ansible.module_utils.greenroom.controller.canary import step
from canary_rows import LIMITS, PLAN, probed, traffic
from edge_log import entry

ROUTE = {"method": "POST", "path": "/checkout"}
OK, BROKEN, CUT = {"status": 200}, {"status": 500}, {"status": 200, "termination": "SD"}


def judged(blue: list[dict[str, Any]], green: list[dict[str, Any]], kind: str = "c") -> dict[str, Any]:
    """The result of an interval in which each client sent one of these requests to a slot."""
    log = EdgeLog(["/"])
    for slot, requests in (("blue", blue), ("green", green)):
        for number, request in enumerate(requests):
            line = {**ROUTE, "slot": slot, "client": f"10.0.{slot == 'green':d}.{number}", "group": f"{kind}{number}"}
            log.take(entry(**{**line, **request}))
    slots: dict[str, Any] = log.slots()
    result: dict[str, Any] = step.begun(None, PLAN)
    result = step.continued(result, probed(), traffic(**slots), {}, LIMITS)
    return result


@pytest.mark.parametrize("request_", [BROKEN, CUT, {"status": 404}])
def test_a_route_that_serves_nobody_is_no_pass(request_: dict[str, Any]) -> None:
    result = judged([OK] * 9, [request_] * 3)
    assert (result["verdict"], result["reasons"]) == (
        "no data",
        [
            "nobody got a regular response to POST /checkout (public, 3 requests of 3 clients; live: 0 of 9 clients)",
        ],
    )


@pytest.mark.parametrize(
    ("blue", "green"),
    [
        # One client got through, so the route works.
        ([OK] * 9, [BROKEN] * 3 + [OK]),
        # Two clients may be broken.
        ([OK] * 90, [BROKEN] * 2),
        # On the live slot, many are not served, too.
        ([OK] * 9 + [BROKEN] * 8, [BROKEN] * 3),
        # The fewer clients there, the more must be here.
        ([OK] * 4, [BROKEN] * 3),
        # Paths that nobody gets on any slot, and paths that only came to the candidate.
        ([BROKEN] * 8, [BROKEN] * 8),
        ([], [BROKEN] * 30),
    ],
)
def test_clients_that_may_be_broken_are_no_gap(blue: list[dict[str, Any]], green: list[dict[str, Any]]) -> None:
    assert judged(blue, green)["verdict"] == "pass"


def test_a_client_that_keeps_no_cookie_is_not_many() -> None:
    assert judged([OK] * 9, [BROKEN] * 3, "n")["verdict"] == "pass"


def test_a_catalogs_route_without_paths_of_its_own_counts() -> None:
    blue = [{"status": 200, "path": f"/orders/{number}"} for number in range(8)]
    green = [{"status": 500, "path": f"/orders/x{number}"} for number in range(4)]
    log = EdgeLog(["/orders"])
    for slot, requests in (("blue", blue), ("green", green)):
        for number, request in enumerate(requests):
            log.take(entry(**{**request, "slot": slot, "client": f"10.0.0.{number}", "group": f"c{number}"}))
    result = step.continued(step.begun(None, PLAN), probed(), traffic(**log.slots()), {}, LIMITS)
    (reason,) = result["reasons"]
    assert reason.startswith("nobody got a regular response to all GET /orders (public, 4 requests of 4 clients")
