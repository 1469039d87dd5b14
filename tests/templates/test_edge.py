# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Requests to the rendered edge: the service for each path, the headers that it gets, and the log."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import edge_workers
from on_host import carried_out
from rendering import render

SERVICE = """
image: {name}
ports:
  http: {{container: {port}, from: [edge]}}
health: {health}
routes: [{routes}]
"""
SERVICES = {
    "home": (7000, "{path: /}"),
    "order": (7001, "{path: /order}"),
    "special": (7002, "{path: /order/special/}"),
    "sessions": (7003, "{path: /sessions}"),
}
# It says how its health page is asked.
CHECKED = """
image: checked
ports:
  http: {container: 7004, from: [edge]}
health: {port: http, path: /checked/ready, method: HEAD, status: 204, headers: {X-Probe: "50% 'of it'"}}
routes: [{path: /checked}]
"""
# Services with other checks; two hosts each.
OTHERS = {
    "connected": (7005, "{port: http, tcp: true}"),
    "commanded": (7006, "{command: [ready, --now]}"),
    "serving": (7007, "{port: http, grpc: true}"),
    "named": (7008, "{port: http, grpc: true, service: shop.v1.Orders}"),
    "ailing": (7009, "{port: http, grpc: true}"),
}
CHECK = "a health check"
JUDGED = "the servers"
REACHED = "/named/shop.v1.Orders/Place"
HOST = "portal.staging.greenroom.test"
PASSWORD = "0123456789abcdefghijklmnopqrstuv"
VISITOR = {"Authorization": "Basic " + base64.b64encode(f"visitor:{PASSWORD}".encode()).decode()}
TAKEN = {
    **dict.fromkeys(("/", "/orders", "/orders/1", "/order-form", "/sessions-report", "/Order"), "home"),
    **dict.fromkeys(("/order", "/order/", "/order/1?x=/sessions", "/order/specials"), "order"),
    **dict.fromkeys(("/order/special", "/order/special/1"), "special"),
    **dict.fromkeys(("/sessions", "/sessions?x", "/sessions/whoami"), "sessions"),
}
CLAIMING = ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "True-Client-IP", "X-Client-IP")
CLAIMS = dict.fromkeys(CLAIMING, "203.0.113.7")
WITH_A_CODE = "/self-service/recovery?flow=1&code=424242"
DROPPED = "/dropped"
HANGING = "/hanging"
REDIRECTED = "/verification?code=515151"
MISSING = "/order/missing"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The result of each request, by path; the last ones have forged client addresses, or are dropped."""
    services = tmp_path_factory.mktemp("catalogue") / "services"
    for name, (port, routes) in SERVICES.items():
        (services / name).mkdir(parents=True)
        text = SERVICE.format(name=name, port=port, routes=routes, health="{port: http, path: /ready}")
        (services / name / "service.yml").write_text(text)
    for name, (port, health) in OTHERS.items():
        (services / name).mkdir()
        text = SERVICE.format(name=name, port=port, routes=f"{{path: /{name}}}", health=health)
        (services / name / "service.yml").write_text(text)
    (services / "checked").mkdir()
    (services / "checked/service.yml").write_text(CHECKED)
    folder = tmp_path_factory.mktemp("edge")
    testers = {"edge_tester_sources": ["127.0.0.0/8"]}
    edge = render("staging", folder, services, roles=("edge", "edge_slot"), hosts="edge1", **testers).folder / "edge1"
    requests = dict.fromkeys(TAKEN, VISITOR)
    requests |= {WITH_A_CODE: VISITOR | CLAIMS, "/nobody?code=1": CLAIMS, REDIRECTED: {}}
    requests |= {DROPPED: VISITOR, HANGING: VISITOR}
    requests |= {REACHED: VISITOR}
    requests |= {MISSING: VISITOR | {"X-Greenroom-Slot": "green"}}
    # Some requests before it, so that the edge could have open connections to all servers.
    before = {DROPPED: ["/"] * 4}
    asked = [
        {
            "path": path,
            "headers": headers | {"Host": HOST},
            "before": before.get(path, []),
            "port": 80 if path == REDIRECTED else 443,
        }
        for path, headers in requests.items()
    ]
    results = carried_out("edge.py", edge, [*asked, {"check": True}, {"judged": True}])
    return dict(zip([*requests, CHECK, JUDGED], results, strict=True))


@pytest.mark.parametrize(("path", "service"), TAKEN.items())
def test_a_route_matches_its_path_and_all_below_it(path: str, service: str, answers: dict[str, dict[str, Any]]) -> None:
    got = answers[path]["got"]
    assert (got["port"], got["path"]) == (10000 + SERVICES[service][0], path)


def test_forged_client_addresses_are_replaced(answers: dict[str, dict[str, Any]]) -> None:
    headers = answers[WITH_A_CODE]["got"]["headers"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert "203.0.113.7" not in headers.values()


def test_the_query_is_not_logged(answers: dict[str, dict[str, Any]]) -> None:
    assert answers[WITH_A_CODE]["log"]["path"] == "/self-service/recovery"
    assert "424242" not in json.dumps(answers[WITH_A_CODE]["log"])
    assert answers["/nobody?code=1"]["log"] | {"path": "/nobody", "status": 401} == answers["/nobody?code=1"]["log"]


def test_no_request_without_the_password_reaches_a_service(answers: dict[str, dict[str, Any]]) -> None:
    assert (answers["/nobody?code=1"]["status"], answers["/nobody?code=1"]["got"]) == (401, None)


def test_a_request_that_a_service_drops_on_a_kept_connection_is_in_the_log(answers: dict[str, dict[str, Any]]) -> None:
    found = answers[DROPPED]
    assert (found["status"], found["got"]["path"]) == (502, DROPPED)
    assert (found["log"]["path"], found["log"]["status"], found["log"]["termination"]) == (DROPPED, 502, "SH")


def test_health_checks_are_not_logged_and_redirects_without_their_query(answers: dict[str, dict[str, Any]]) -> None:
    redirect = answers[REDIRECTED]
    assert redirect["others"] == []
    assert redirect["headers"]["location"] == f"https://{HOST}{REDIRECTED}"
    assert redirect["log"] == {"client": "127.0.0.1", "method": "GET", "path": "/verification", "status": 301}


def test_a_health_check_is_like_a_visitors_request(answers: dict[str, dict[str, Any]]) -> None:
    check = answers[CHECK]
    assert check["version"] == "HTTP/1.1"
    wanted = {"host": HOST, "x-forwarded-proto": "https", "x-probe": "50% 'of it'"}
    assert check["headers"] | wanted == check["headers"]


def test_a_server_counts_as_ready_if_its_own_kind_of_check_says_so(answers: dict[str, dict[str, Any]]) -> None:
    found = answers[JUDGED]
    assert found.pop("ailing_http").startswith("DOWN ")
    responding = dict.fromkeys(("checked_http", "serving_http", "named_http"), "UP L7OK")
    assert found == responding | dict.fromkeys(("connected_http", "commanded_http"), "UP L4OK")


def test_a_request_reaches_a_service_that_speaks_grpc(answers: dict[str, dict[str, Any]]) -> None:
    assert answers[REACHED]["headers"]["reached"].startswith("named")


def test_a_slot_without_the_route_refuses_the_request_by_its_name(answers: dict[str, dict[str, Any]]) -> None:
    missing = answers[MISSING]
    assert (missing["status"], missing["headers"]["x-greenroom-slot"], missing["got"]) == (404, "green", None)
    log = {"backend": "nowhere", "server": "<NOSRV>", "slot": "green", "chosen": "tester"}
    assert missing["log"] | log == missing["log"]


def test_a_request_that_hangs_is_found_before_it_is_in_the_log(answers: dict[str, dict[str, Any]]) -> None:
    assert list(edge_workers.waiting(answers[HANGING]["got"]["shown"]).values()) == ["blue"]
