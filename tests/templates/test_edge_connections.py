# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Connections of the rendered edge that last: a route's timeout, and WebSockets from before a reload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from on_host import carried_out
from rendering import render
from visiting import request

SERVICE = """
image: {name}
ports:
  http: {{container: {port}, from: [edge]}}
health: {{port: http, path: /ready}}
routes: [{{path: {path}{timeout}}}]
"""
# Something comes after two seconds. The edge waits for a service one second, and for a client a minute.
SERVICES = {
    "home": (7000, "/", ""),
    "patient": (7001, "/patient", ", timeout: 1m"),
    "hasty": (7002, "/hasty", ", timeout: 1s"),
}
UPGRADE = (
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
REQUESTS: dict[str, dict[str, Any]] = {
    path: {"raw": request(path, *headers, method=method) + body, **({"late": late} if late else {})}
    for kind, method, headers, body, late in (
        ("late", "GET", (), "", ""),
        ("up", "POST", ("Content-Length: 10",), "12345", "67890"),
        ("echo", "GET", UPGRADE, "", "hello"),
    )
    for path in (f"/patient/{kind}", f"/hasty/{kind}" if late else f"/{kind}")
}
RELOADS, AT_MOST = 3, 5


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an edge host."""
    services = tmp_path_factory.mktemp("catalogue") / "services"
    for name, (port, path, timeout) in SERVICES.items():
        (services / name).mkdir(parents=True)
        text = SERVICE.format(name=name, port=port, path=path, timeout=timeout)
        (services / name / "service.yml").write_text(text)
    folder = tmp_path_factory.mktemp("edge")
    given: dict[str, Any] = {"edge_server_seconds": 1, "edge_connection_reloads": AT_MOST, "edge_visitors_only": False}
    return render("staging", folder, services, roles=("edge", "edge_slot"), hosts="edge1", **given).folder / "edge1"


@pytest.fixture(scope="module")
def answers(edge: Path) -> dict[str, dict[str, Any]]:
    """The result of each request."""
    return dict(zip(REQUESTS, carried_out("edge.py", edge, list(REQUESTS.values())), strict=True))


@pytest.fixture(scope="module")
def reloads(edge: Path) -> dict[str, Any]:
    """What becomes of WebSockets when HAProxy is reloaded."""
    found: dict[str, Any] = carried_out("reloads.py", edge, RELOADS)
    return found


def test_a_service_may_respond_within_its_routes_timeout(answers: dict[str, dict[str, Any]]) -> None:
    assert [answers[path]["status"] for path in ("/late", "/patient/late")] == [504, 200]


def test_a_client_may_pause_an_upload_within_its_routes_timeout(answers: dict[str, dict[str, Any]]) -> None:
    assert [answers[path]["status"] for path in ("/patient/up", "/hasty/up")] == [200, 400]


def test_a_websocket_may_be_silent_within_its_routes_timeout(answers: dict[str, dict[str, Any]]) -> None:
    assert [answers[path]["echo"] for path in ("/patient/echo", "/hasty/echo")] == ["hello", ""]


def test_websockets_outlive_reloads_and_old_workers_end_with_their_connections(reloads: dict[str, Any]) -> None:
    assert reloads["open"] == [[number, number] for number in range(1, RELOADS + 1)]
    assert reloads["closing"] == [[number, number] for number in reversed(range(RELOADS))]


def test_old_workers_live_for_a_limited_number_of_reloads(reloads: dict[str, Any]) -> None:
    assert reloads["survived"] == AT_MOST
