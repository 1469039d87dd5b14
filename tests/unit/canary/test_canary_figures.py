# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The edge's log as figures: what belongs to a slot, what to the edge, what to a client who went away."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import figures
from ansible.module_utils.greenroom.canary.edge_log import OTHER, ROUTES, EdgeLog
from ansible.module_utils.greenroom.canary.statistics import bucket
from edge_log import entry
from hypothesis import given
from hypothesis import strategies as st


def taken(*lines: str) -> dict[str, Any]:
    slots = read(lines)
    assert slots["blue"] == figures.empty()
    return slots["green"]


def read(lines: Iterable[str], routes: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    log = EdgeLog(routes)
    for line in lines:
        log.take(line)
    slots: dict[str, dict[str, Any]] = log.slots()
    return slots


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, (1, 0, 0)),
        ({"status": 503}, (1, 1, 0)),
        ({"status": 404}, (1, 0, 1)),
        ({"status": 304}, (1, 0, 0)),
        # The server refused, broke off, was too slow, was found down, answered nonsense.
        ({"status": 503, "termination": "SC", "server": "<NOSRV>"}, (1, 1, 0)),
        ({"status": 502, "termination": "SH"}, (1, 1, 0)),
        ({"status": 200, "termination": "SD"}, (1, 1, 0)),
        ({"status": 504, "termination": "sH"}, (1, 1, 0)),
        ({"status": 200, "termination": "DD"}, (1, 1, 0)),
        ({"status": 502, "termination": "PH"}, (1, 1, 0)),
        # The edge answered by itself.
        ({"status": 401, "termination": "PR", "server": "<NOSRV>"}, (0, 0, 0)),
        ({"status": 429, "termination": "PR", "server": "<NOSRV>"}, (0, 0, 0)),
        ({"status": 404, "termination": "LR", "server": "<NOSRV>"}, (0, 0, 0)),
        # The slot has no route for the path.
        ({"status": 404, "server": "<NOSRV>", "backend": "nowhere"}, (1, 0, 1)),
        ({"status": 404, "server": "<NOSRV>", "backend": "nowhere", "chosen": "tester"}, (0, 0, 0)),
        # The client went away: while it waited, or for reasons of its own.
        ({"status": -1, "termination": "CH", "ms": 20000}, (1, 0, 0)),
        ({"status": 200, "termination": "CD"}, (0, 0, 0)),
        ({"status": 408, "termination": "cR", "server": "<NOSRV>"}, (0, 0, 0)),
        # Testers, and a request that came to no slot.
        ({"chosen": "tester"}, (0, 0, 0)),
        ({"slot": "-"}, (0, 0, 0)),
        ({"slot": "", "chosen": ""}, (0, 0, 0)),
    ],
)
def test_the_figures_of_a_log_line(changes: dict[str, Any], counts: tuple[int, int, int]) -> None:
    found = taken(entry(**changes))
    assert (found["requests"], found["failed"], found["refused"]) == counts


def test_a_client_that_leaves_early_counts_with_its_waiting_time() -> None:
    assert figures.summary(taken(entry(status=-1, termination="CH", ms=20000)))["p50"] > 19000


def test_a_request_that_fell_back_to_the_live_slot_counts_as_a_failure() -> None:
    found = taken(entry(slot="blue", chosen="instead"))
    assert (found["requests"], found["failed"], found["latency"]) == (1, 1, {})


def test_a_web_socket_has_no_latency() -> None:
    found = taken(entry(status=101, ms=3_600_000, termination="SD"))
    assert (found["requests"], found["failed"], found["latency"]) == (1, 0, {})


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_other_lines_are_skipped(line: str) -> None:
    assert taken(line) == figures.empty()


def test_memory_is_bounded_for_any_number_of_paths() -> None:
    found = taken(*(entry(path=f"/made-up-{number}", ms=number) for number in range(2000)))
    assert len(found["routes"]) <= ROUTES + 1
    assert sum(counts[0] for counts in found["routes"].values()) == found["requests"] == 2000
    assert len(found["latency"]) < 250


def test_figures_of_several_hosts_add_up() -> None:
    lines = [entry(path=f"/{number % 40}", status=(200, 404, 500)[number % 3], ms=number) for number in range(300)]
    both = figures.merged([taken(*lines[:100]), taken(*lines[100:])])
    whole = taken(*lines)
    assert {key: both[key] for key in ("requests", "failed", "refused", "latency")} == {
        key: whole[key] for key in ("requests", "failed", "refused", "latency")
    }
    assert sum(counts[1] for counts in both["routes"].values()) == whole["failed"]
    assert figures.merged([]) == figures.empty()


def visits(found: dict[str, Any]) -> figures.Visits:
    return figures.visits(found["visits"])


def paths(*wanted: tuple[str, int], **changes: Any) -> list[str]:
    """Lines for each path, from that many clients."""
    return [entry(path=path, client=f"10.0.0.{number}", **changes) for path, count in wanted for number in range(count)]


def test_each_route_of_the_catalog_has_counts_by_method() -> None:
    lines = [
        entry(method=method, path=path) for method in ("GET", "POST", "HACK") for path in ("/", "/a/b", "/api/v1/x")
    ]
    routes = read(lines, ["/", "/api/v1"])["green"]["routes"]
    assert {route: counts[0] for route, counts in routes.items() if route.startswith("all ")} == {
        **dict.fromkeys(("all GET /", "all POST /", "all other /"), 2),
        **dict.fromkeys(("all GET /api/v1", "all POST /api/v1", "all other /api/v1"), 1),
    }
    assert {"GET /", "GET /a", "GET /api/v1/x"} <= routes.keys()


def test_a_scanner_fills_no_rows() -> None:
    scanner = [entry(path=f"/x{number % 40}", status=404, client="192.0.2.1") for number in range(2000)]
    found = read([*scanner, *paths(("/checkout", 3), method="POST"), *scanner], ["/"])["green"]["routes"]
    assert found["POST /checkout"] == [3, 0, 0]
    assert found[OTHER] == [4000, 0, 4000]
    assert found.keys() == {"POST /checkout", OTHER, "all GET /", "all POST /"}


def test_a_scanner_that_gets_pages_counts_as_one_client() -> None:
    scanner = [entry(path=f"/x{number % 40}", client="192.0.2.1") for number in range(2000)]
    found = read([*scanner, *paths(("/checkout", 3), method="POST"), *scanner], ["/"])["green"]["routes"]
    assert found["POST /checkout"] == [3, 0, 0]
    assert len(found) == ROUTES + 3


def test_a_path_that_fails_for_several_clients_keeps_its_counts() -> None:
    found = read([*paths(("/checkout", 2), ("/x", 1), status=500)])["green"]["routes"]
    assert found == {"GET /checkout": [2, 2, 0], OTHER: [1, 1, 0]}


def test_both_slots_have_the_same_routes() -> None:
    many = paths(*((f"/{number}", 2) for number in range(30)), slot="blue")
    slots = read([*many, *paths(("/checkout", 3), slot="blue"), *paths(("/checkout", 3), status=500)])
    assert slots["green"]["routes"] == {"GET /checkout": [3, 3, 0]}
    assert "GET /checkout" in slots["blue"]["routes"]


def test_a_row_can_not_be_forged() -> None:
    found = read([entry(method="all", path="/"), entry(path="/other")], ["/"])["green"]["routes"]
    assert found.keys() == {"all /", "all other /", "GET /other", "all GET /"}


def test_clients_have_their_own_counts() -> None:
    lines = [entry(group="c12", status=500), entry(group="c12", ms=99), entry(group="n7", status=404)]
    found = taken(*lines)
    counts = {"c12": [2, 1, 0], "n7": [1, 0, 1]}
    assert visits(found).counts == {"": counts, "GET /orders": counts}
    small, large = (int(bucket(value)) for value in (12, 99))
    assert visits(found).times == {"c12": [2, small + large, large], "n7": [1, small, small]}


@pytest.mark.parametrize("group", [None, "", "-", "x1", "c1234", "c1 ", ["c1"]])
def test_a_line_without_a_group_counts_for_its_address(group: Any) -> None:
    (found,) = visits(taken(entry(group=group))).counts[""]
    assert found.startswith("a")


def test_a_network_is_one_client() -> None:
    first, again, other = (
        list(visits(taken(entry(client=client))).counts[""])
        for client in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    )
    assert first == again != other
    assert taken(entry(client="unix"))["visits"] == ""


def test_clients_of_several_hosts_add_up() -> None:
    lines = [entry(group=f"c{number % 7}", status=(200, 500)[number % 2], ms=number) for number in range(100)]
    both, whole = figures.merged([taken(*lines[:30]), taken(*lines[30:])]), taken(*lines)
    assert visits(both) == visits(whole)
    assert both | {"visits": ""} == whole | {"visits": ""} == figures.totals([whole])
