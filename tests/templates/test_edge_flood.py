# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Floods of the rendered edge: who holds connections keeps out neither other visitors nor those who watch the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from on_host import carried_out
from rendering import ROOT, render

# Visitors get 320 of these, and redirects 40. One source gets 50 of the former, and 5 of the latter.
MAXCONN = 400
EACH = 50
ONE = ["127.0.0.9"]
MANY = [f"127.0.1.{number}" for number in range(1, 13)]
FLOODS: dict[str, dict[str, Any]] = {
    "one source": {"port": 443, "sources": ONE, "each": 600, "visits": [443, 80]},
    "one source on port 80": {"port": 80, "sources": ONE, "each": 600, "visits": [443, 80]},
    # As many as all visitors together may have, and more.
    "many sources": {"port": 443, "sources": MANY, "each": EACH, "visits": [80]},
    "many sources on port 80": {"port": 80, "sources": MANY, "each": EACH, "visits": [443]},
}
ANSWERS = {443: "HTTP/1.1 200 OK", 80: "HTTP/1.1 301 Moved Permanently"}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an edge host with low limits."""
    limits: dict[str, Any] = {"edge_maxconn": MAXCONN, "edge_source_connections": EACH, "edge_visitors_only": False}
    folder = tmp_path_factory.mktemp("edge")
    return render("staging", folder, roles=("edge", "edge_slot"), hosts="edge1", **limits).folder / "edge1"


@pytest.fixture(scope="module")
def answers(rendered: Path) -> dict[str, dict[str, Any]]:
    """The result of each flood."""
    inventory = yaml.safe_load((ROOT / "inventories/staging/hosts.yml").read_text())
    peer = inventory["staging"]["children"]["app"]["hosts"]["app1"]["ansible_host"]
    found = carried_out("flood.py", rendered, [each | {"peer": peer} for each in FLOODS.values()])
    return dict(zip(FLOODS, found, strict=True))


@pytest.mark.parametrize("flood", FLOODS)
def test_health_checks_and_other_hosts_are_served_during_a_flood(
    flood: str, answers: dict[str, dict[str, Any]]
) -> None:
    assert answers[flood]["health"] == "HTTP/1.1 200 OK"
    assert answers[flood]["peer"] == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("flood", FLOODS)
def test_another_visitor_is_served_during_a_flood(flood: str, answers: dict[str, dict[str, Any]]) -> None:
    assert answers[flood]["visits"] == [ANSWERS[port] for port in FLOODS[flood]["visits"]]


@pytest.mark.parametrize(("flood", "most"), [("one source", EACH), ("one source on port 80", EACH // 10)])
def test_one_source_holds_only_its_own_number_of_connections(
    flood: str, most: int, answers: dict[str, dict[str, Any]]
) -> None:
    assert 0 < answers[flood]["held"] <= most


COUNT = 2000
REQUESTS = 200
PROGRAMS: dict[str, Any] = {
    "hold": {"address": "127.0.0.3", "port": 443, "source": "127.0.0.9", "count": COUNT, "rate": 1000, "longest": 300},
    "visit": {"address": "127.0.0.3", "port": 443, "source": "127.0.0.2", "requests": REQUESTS, "every": 0.01}
    | {"name": "portal.staging.greenroom.test", "authorization": "", "path": "/"},
}


def test_the_measurement_of_a_flood_counts_what_happens(rendered: Path) -> None:
    """The programs of bench/flood, which measures times on the lab's hosts."""
    found = carried_out("visits.py", rendered, PROGRAMS)
    for state in ("quiet", "flood"):
        assert found[state]["failures"] == []
        assert [len(found[state][kind]) for kind in ("kept", "new")] == [REQUESTS // 2] * 2
    held = found["held"]
    assert 0 < held["held"] <= EACH
    assert held["tried"] >= COUNT
    # All others were closed, again and again.
    assert held["closed"] >= held["tried"] - COUNT
    assert held["closed"] > 0
    assert found["health"] == "HTTP/1.1 200 OK"
