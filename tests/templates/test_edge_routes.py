# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a route can be at the rendered edge: host names, redirects, removed paths, sizes, sticky sessions, TCP."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

import pytest
from on_host import carried_out
from rendering import render
from test_edge_visitors import FOREIGN, RIGHT, STAFF
from visiting import FUTURE, HOST, PASSWORD, request, signed

DOMAIN = "staging.greenroom.test"
HEALTH = "health: {port: http, path: /ready}\n"
SERVICES = {
    "home": (7000, HEALTH + "routes: [{path: /}, {path: /cut, strip: true}, {path: /small, body: 1K}]"),
    "shop": (
        7001,
        HEALTH
        + """
routes:
  - {host: "shop.{{ environment_domain }}", path: /, exclude: [/admin]}
  - {host: [b.example.com, "*.example.com"], path: /app, strip: true, timeout: 5m, body: 10M}
redirects:
  - {host: "www.shop.{{ environment_domain }}", to: "https://shop.{{ environment_domain }}"}
  - {host: "shop.{{ environment_domain }}", path: /old, to: /new, status: 302}
  - {path: /moved, to: "https://shop.{{ environment_domain }}/here/", status: 308}
""",
    ),
    "exact": (7002, HEALTH + "routes: [{host: a.example.com, path: /app/x}]"),
    "kept": (7003, HEALTH + "routes: [{path: /kept, sticky: true}]"),
    "staff": (7004, HEALTH + "routes: [{path: /staff, auth: false, client_certificate: required}]"),
    "spoken": (7010, HEALTH + "routes: [{path: /spoken, http2: true}]"),
    "chat": (
        7020,
        "health: {port: http, tcp: true}\n"
        "tcp_routes: [{listen: 5222}, {listen: 5223, host: c.example.com, port: named}]",
    ),
    "irc": (7021, 'health: {port: http, tcp: true}\ntcp_routes: [{listen: 5223, host: "*.example.net"}]'),
}
SHOP = f"shop.{DOMAIN}"
PORTS = {10000 + port: name for name, (port, _) in SERVICES.items()}
TRACED = "X-Request-Id: 1"
LONG = "x" * 2000
ADD, SET = (f"{verb} map /etc/haproxy/maps/maintenance.map" for verb in ("add", "set"))
PAGES = {413: "<p>A page of the operator's: 100 %</p>", "maintenance": "<h1>Back soon</h1>"}
CHUNKED = "Transfer-Encoding: chunked"


def hello(name: str) -> str:
    """The first bytes of a TLS client."""
    out = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read().decode("latin-1")


def visit(path: str, host: str = HOST, *headers: str, **more: str) -> dict[str, Any]:
    return {"raw": request(path, PASSWORD, *headers, host=host, **more)}


REQUESTS: dict[str, dict[str, Any]] = {
    "own name": visit("/"),
    "own name with a port": visit("/", f"{HOST}:443"),
    "another name": visit("/", SHOP),
    "in capitals": visit("/x", SHOP.upper()),
    "closed": visit("/admin/x", SHOP),
    "closed elsewhere": visit("/admin/x"),
    "health page": visit("/ready", SHOP),
    "a name's own routes only": visit("/cut", SHOP),
    "no route": visit("/x", "a.example.com"),
    "exact before wildcard": visit("/app/x/1", "a.example.com"),
    "wildcard not for the exact": visit("/app/y", "a.example.com"),
    "listed": visit("/app/y", "b.example.com"),
    "wildcard": visit("/app", "z.example.com"),
    "below the wildcard": visit("/app", "y.z.example.com"),
    "the wildcard's domain": visit("/app", "example.com"),
    "unknown": visit("/", f"no.{DOMAIN}"),
    "a name like a TCP port": visit("/", "5222.example.org"),
    "two names": visit("/", f"evil.test, {SHOP}"),
    "a path in the name": visit("/x", f"{SHOP}/admin"),
    "a name's path read otherwise": visit("/app%2fx", "b.example.com"),
    "password of another name": {"raw": request("/", f"Cookie: {signed(FUTURE)}", host=SHOP)},
    "no password": {"raw": request("/", host=SHOP)},
    "form": {
        "raw": request(
            "/.greenroom/enter",
            f"Origin: https://{SHOP}",
            "Content-Type: application/x-www-form-urlencoded",
            method="POST",
            host=SHOP,
            body="password=0123456789abcdefghijklmnopqrstuv&to=%2Fx",
        )
    },
    "form of another name": {
        "raw": request(
            "/.greenroom/enter", "Origin: https://b.example.com", method="POST", host=SHOP, body="password=x"
        )
    },
    "www": {"raw": request("/a/b?c=d", host=f"www.{SHOP}")},
    "redirect": visit("/old/a?b=c", SHOP),
    "redirect of the path alone": visit("/old", SHOP),
    "not redirected": visit("/older", SHOP),
    "redirect to a path": visit("/moved/1"),
    "redirect without password": {"raw": request("/moved/1")},
    "cut": visit("/cut/a/b?c=d", HOST, "X-Forwarded-Prefix: /evil"),
    "cut to nothing": visit("/cut?c"),
    "not cut": visit("/cute", HOST, "X-Forwarded-Prefix: /evil"),
    "small": visit("/small", method="POST", body="x" * 1024),
    "large": visit("/small", method="POST", body="x" * 1025),
    "no body": visit("/small"),
    "large elsewhere": visit("/", method="POST", body="x" * 1025),
    "unknown length": {"raw": request("/small", PASSWORD, CHUNKED, method="POST") + "1\r\nx\r\n0\r\n\r\n"},
    "kept": visit("/kept"),
    "with certificate": visit("/staff") | {"certificate": RIGHT},
    "without certificate": visit("/staff"),
    **{f"certificate {name}": visit("/staff") | {"certificate": pem} for name, pem in FOREIGN.items()},
    "a claimed certificate": visit("/staff", HOST, "Client-Cert: :MIIB:"),
    "http2": visit("/spoken"),
    "plain": {"raw": request("/x", host=SHOP), "port": 80},
    "plain unknown": {"raw": request("/x", host="no.example.org"), "port": 80},
    "maintenance of the shop": visit("/", SHOP) | {"commands": [f"{ADD} shop 60"]},
    "maintenance for a program": visit("/", SHOP, "Accept: application/json"),
    "maintenance of another service": visit("/"),
    "maintenance of a redirect": visit("/old/a", SHOP),
    "maintenance of a redirected name": {"raw": request("/a", host=f"www.{SHOP}")},
    "maintenance of a TCP route": {
        # Where a name is needed, the client's first bytes are read, so HAProxy logs the connection.
        "raw": hello("c.example.com"),
        "port": 5223,
        "silent": False,
        "commands": [f"{ADD} chat 60"],
    },
    "TCP route of another service": {"raw": hello("x.example.net"), "port": 5223, "silent": False},
    "maintenance of everything": visit("/") | {"commands": [f"{ADD} * 90"]},
    "TCP route while everything is in maintenance": {"raw": hello("x.example.net"), "port": 5223, "silent": False},
    "maintenance for a tester": visit("/", SHOP, "X-Greenroom-Slot: blue"),
    "after maintenance": visit("/") | {"commands": [f"{SET} * off", f"{SET} shop off", f"{SET} chat off"]},
    "tcp": {"raw": request("/tcp", TRACED), "port": 5222},
    "tcp by name": {"raw": hello("c.example.com"), "port": 5223, "silent": False},
    "tcp by wildcard": {"raw": hello("x.example.net"), "port": 5223, "silent": False},
    "resumed with certificate": visit("/staff") | {"certificate": RIGHT, "resumed": True},
    "tcp of no name": {"raw": hello("x.example.org"), "port": 5223},
}


def rendered(folder: Path, **given: Any) -> Path:
    """The files of an edge host."""
    for name, (port, text) in SERVICES.items():
        (folder / "services" / name).mkdir(parents=True)
        head = f"image: {name}\nports:\n  http: {{container: {port}, from: [edge]}}\n"
        named = f"  named: {{container: {port + 10}, from: [edge]}}\n" if name == "chat" else ""
        (folder / "services" / name / "service.yml").write_text(head + named + text)
    found = render("staging", folder, folder / "services", roles=("edge", "edge_slot"), hosts="edge1", **given)
    return found.folder / "edge1"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The result of each request."""
    edge = rendered(
        tmp_path_factory.mktemp("edge"),
        edge_client_ca=STAFF.pem,
        edge_error_pages=PAGES,
        edge_tester_sources=["127.0.0.0/8"],
    )
    return dict(zip(REQUESTS, carried_out("edge.py", edge, list(REQUESTS.values())), strict=True))


@pytest.mark.parametrize(
    ("asked", "service", "path"),
    [
        ("own name", "home", "/"),
        ("own name with a port", "home", "/"),
        ("another name", "shop", "/"),
        ("in capitals", "shop", "/x"),
        ("closed elsewhere", "home", "/admin/x"),
        ("a name's own routes only", "shop", "/cut"),
        ("exact before wildcard", "exact", "/app/x/1"),
        ("listed", "shop", "/y"),
        ("wildcard", "shop", "/"),
        ("not redirected", "shop", "/older"),
        ("cut", "home", "/a/b?c=d"),
        ("cut to nothing", "home", "/?c"),
        ("not cut", "home", "/cute"),
        ("small", "home", "/small"),
        ("no body", "home", "/small"),
        ("large elsewhere", "home", "/"),
        ("kept", "kept", "/kept"),
        ("maintenance of another service", "home", "/"),
        ("maintenance for a tester", "shop", "/"),
        ("after maintenance", "home", "/"),
        ("with certificate", "staff", "/staff"),
        ("resumed with certificate", "staff", "/staff"),
        ("password of another name", "shop", "/"),
        ("tcp", "chat", "/tcp"),
    ],
)
def test_a_request_reaches_the_service_of_its_name_and_path(
    asked: str, service: str, path: str, answers: dict[str, dict[str, Any]]
) -> None:
    got = answers[asked]["got"]
    assert (PORTS[got["port"]], got["path"]) == (service, path)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("closed", 404),
        ("health page", 404),
        ("no route", 404),
        ("wildcard not for the exact", 404),
        ("below the wildcard", 421),
        ("the wildcard's domain", 421),
        ("unknown", 421),
        ("a name like a TCP port", 421),
        ("plain unknown", 421),
        ("a name's path read otherwise", 400),
        ("no password", 401),
        ("redirect without password", 401),
        ("form of another name", 403),
        ("large", 413),
        ("unknown length", 413),
        ("without certificate", 403),
        ("a claimed certificate", 403),
        *((f"certificate {name}", 403) for name in FOREIGN),
    ],
)
def test_the_edge_refuses_what_no_route_allows(asked: str, status: int, answers: dict[str, dict[str, Any]]) -> None:
    assert (answers[asked]["status"], answers[asked]["got"]) == (status, None)


@pytest.mark.parametrize("asked", ["a path in the name", "two names"])
def test_what_is_no_name_reaches_no_service(asked: str, answers: dict[str, dict[str, Any]]) -> None:
    answer = answers[asked]
    assert (answer["status"] in (400, 421), answer["got"]) == (True, None)


@pytest.mark.parametrize(
    ("asked", "status", "location"),
    [
        ("www", 301, f"https://{SHOP}/a/b?c=d"),
        ("redirect", 302, "/new/a?b=c"),
        ("redirect of the path alone", 302, "/new"),
        ("redirect to a path", 308, f"https://{SHOP}/here/1"),
        ("plain", 301, f"https://{SHOP}/x"),
        ("form", 303, "/x"),
    ],
)
def test_a_redirect_keeps_the_rest_of_the_path_and_the_query(
    asked: str, status: int, location: str, answers: dict[str, dict[str, Any]]
) -> None:
    assert (answers[asked]["status"], answers[asked]["headers"]["location"]) == (status, location)


def test_a_service_learns_which_part_of_the_path_was_removed(answers: dict[str, dict[str, Any]]) -> None:
    prefixes = [
        answers[asked]["got"]["headers"].get("x-forwarded-prefix")
        for asked in ("cut", "cut to nothing", "listed", "not cut")
    ]
    assert prefixes == ["/cut", "/cut", "/app", None]


def test_the_log_has_the_path_that_the_visitor_asked_for(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["cut"]["log"]["path"] == "/cut/a/b"


def test_a_service_learns_whose_certificate_it_is(answers: dict[str, dict[str, Any]]) -> None:
    assert re.fullmatch(r":[A-Za-z0-9+/=]{100,}:", answers["with certificate"]["got"]["headers"]["client-cert"])


def test_a_sticky_session_has_a_cookie_of_the_slot_that_names_no_host(answers: dict[str, dict[str, Any]]) -> None:
    cookie = answers["kept"]["headers"]["set-cookie"]
    assert re.fullmatch(r"greenroom_kept_http_blue=[0-9a-f]{12}; path=/; HttpOnly; Secure; SameSite=Lax", cookie)


def test_a_service_that_speaks_http2_only_gets_it(answers: dict[str, dict[str, Any]]) -> None:
    assert (answers["http2"]["status"], answers["http2"]["headers"]["reached"]) == (200, "spoken0")


@pytest.mark.parametrize(
    ("asked", "backend"),
    [("tcp", "chat_http_blue"), ("tcp by name", "chat_named_blue"), ("tcp by wildcard", "irc_http_blue")],
)
def test_a_tcp_connection_reaches_the_live_slot_by_port_and_name(
    asked: str, backend: str, answers: dict[str, dict[str, Any]]
) -> None:
    log = answers[asked]["log"]
    assert (log["backend"], log["slot"], log["chosen"]) == (backend, "blue", "live")


def test_a_tcp_connection_with_an_unknown_name_is_closed(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["tcp of no name"]["status"] is None


@pytest.mark.parametrize(
    ("asked", "again", "body"),
    [
        ("maintenance of the shop", "60", PAGES["maintenance"]),
        ("maintenance of a redirect", "60", PAGES["maintenance"]),
        ("maintenance of a redirected name", "60", PAGES["maintenance"]),
        ("maintenance of everything", "90", PAGES["maintenance"]),
        (
            "maintenance for a program",
            "60",
            '{"status": 503, "error": "This site is down for maintenance. Try again later."}',
        ),
    ],
)
def test_in_maintenance_visitors_get_a_page_and_no_service_gets_the_request(
    asked: str, again: str, body: str, answers: dict[str, dict[str, Any]]
) -> None:
    answer = answers[asked]
    assert (answer["status"], answer["got"], answer["body"]) == (503, None, body)
    assert answer["headers"]["retry-after"] == again


@pytest.mark.parametrize("asked", ["maintenance of a TCP route", "TCP route while everything is in maintenance"])
def test_in_maintenance_a_new_tcp_connection_is_closed(asked: str, answers: dict[str, dict[str, Any]]) -> None:
    answer = answers[asked]
    # The backend is the frontend itself: none was chosen.
    assert (answer["status"], answer["got"], answer["log"]["backend"]) == (None, None, "tcp_5223")


def test_maintenance_of_a_tcp_route_leaves_those_of_other_services(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["TCP route of another service"]["log"]["backend"] == "irc_http_blue"


def test_the_edge_has_the_operators_page_for_a_status(answers: dict[str, dict[str, Any]]) -> None:
    assert (answers["large"]["body"], answers["large"]["headers"]["content-type"]) == (
        PAGES[413],
        "text/html; charset=utf-8",
    )
