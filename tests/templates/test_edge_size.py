# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A big environment: HAProxy starts with the limits that it needs, and app hosts get a bounded number of checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from on_host import carried_out
from rendering import render

EDGES, APPS, SERVICES = 20, 50, 200
PER_SECOND, INTERVALS = 1000, 3
SERVICE = """
image: home
ports:
  http: {{container: {port}, from: [edge]}}
health: {{port: http, path: /ready}}
routes: [{{path: /s{number}, auth: false}}]
"""


def edge(folder: Path, number: int, **given: Any) -> Path:
    """Render an edge host of an environment with `number` services."""
    services = folder / "services"
    for each in range(number):
        (services / f"s{each}").mkdir(parents=True)
        (services / f"s{each}/service.yml").write_text(SERVICE.format(port=7000 + each, number=each))
    groups = {
        group: {"hosts": {f"{group}{host}": {"ansible_host": f"198.18.{third}.{host}"} for host in range(1, count + 1)}}
        for group, third, count in (("edge", 40, EDGES), ("app", 41, APPS))
    }
    more = folder / "more.json"
    more.write_text(json.dumps({"staging": {"children": groups}}))
    rendered = render("staging", folder / "edge", services, ("edge", "edge_slot"), "edge1", inventories=[more], **given)
    return rendered.folder / "edge1"


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """HAProxy with more servers than machines that run tests always have open files for."""
    return dict(carried_out("size.py", edge(tmp_path_factory.mktemp("big"), SERVICES), {"starts": False}))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """HAProxy with 8,000 servers."""
    folder = edge(tmp_path_factory.mktemp("started"), 80, edge_maxconn=1500)
    given = {"starts": True, "host": "app1", "service": "s7", "intervals": INTERVALS}
    return dict(carried_out("size.py", folder, given))


def test_the_limit_of_open_files_is_enough_for_the_whole_catalog(big: dict[str, Any]) -> None:
    assert big["needed"] > 2 * APPS * SERVICES
    assert big["needed"] <= big["limit"] <= 2 * big["needed"]


def test_haproxy_starts_and_serves_with_the_limit(started: dict[str, Any]) -> None:
    assert started["needed"] <= started["limit"] < 20000
    assert started["answer"] == 200


def test_an_app_host_gets_a_bounded_number_of_checks(started: dict[str, Any]) -> None:
    checks = started["checks"]
    # Every server of both slots: once at the start, once per interval, and once more where an interval ends.
    assert len(checks) == 2 * 80
    assert sum(checks.values()) <= (INTERVALS + 2) * len(checks)


def test_a_request_that_cannot_connect_brings_the_next_check_at_once(started: dict[str, Any]) -> None:
    assert started["down"]
