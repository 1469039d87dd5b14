# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The edge's log as figures: what belongs to a slot, what to the edge, what to a client who went away."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import figures
from edge_log import entry
from hypothesis import given
from hypothesis import strategies as st


def taken(*lines: str) -> dict[str, Any]:
    slots: dict[str, dict[str, Any]] = {"blue": figures.empty(), "green": figures.empty()}
    for line in lines:
        figures.take(line, slots)
    assert slots["blue"] == figures.empty()
    return slots["green"]


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
    assert len(found["routes"]) <= figures.ROUTES + 1
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
