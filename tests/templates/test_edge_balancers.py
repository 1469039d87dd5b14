# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Load balancers before the rendered edge: it knows a visitor by its own address, and nobody else says who it is."""

from __future__ import annotations

import base64
import json
import socket
import struct
from typing import Any

import pytest
import yaml
from on_host import carried_out
from rendering import ROOT, SECRET, render

# A load balancer that sends PROXY headers, two that speak HTTP, and a visitor.
PROXY, FORWARDER, NEARER, VISITOR = "127.0.0.9", "127.0.0.8", "127.0.0.7", "127.0.0.5"
A, B, SIX = "203.0.113.7", "203.0.113.8", "2001:db8::7"
TARGET = "127.0.0.3"
SERVICE = """
image: home
ports: {http: {container: 7000, from: [edge]}}
health: {port: http, path: /ready}
routes: [{path: /, auth: false}, {path: /private}]
"""
HOST = "portal.staging.greenroom.test"
LIMIT, TRIES = 30, 5
# Visitors get 320 of these, and redirects 40. One source gets 50 of the former, and 5 of the latter.
MAXCONN, EACH = 400, 50
ONE = ["127.0.0.5"]
FLOODS: dict[str, dict[str, Any]] = {
    "one visitor": {"port": 443, "sources": ONE, "each": 600, "visits": [443, 80]},
    "one visitor on port 80": {"port": 80, "sources": ONE, "each": 600, "visits": [443, 80]},
}


def request(*headers: str, path: str = "/") -> str:
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""])


def version_1(source: str) -> str:
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {'::1' if ':' in source else TARGET} 50000 443\r\n"


def version_2(source: str = "") -> str:
    """The header of a visitor, or of the load balancer's own connection."""
    pair = b"".join(map(socket.inet_aton, (source, TARGET))) + struct.pack("!HH", 50000, 443) if source else b""
    return (
        b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11] if source else [0x20, 0]) + struct.pack("!H", len(pair)) + pair
    ).decode("latin-1")


def guess(number: int) -> str:
    return "Authorization: Basic " + base64.b64encode(f"visitor:guess-{number}".encode()).decode()


def claim(*addresses: str) -> str:
    return f"X-Forwarded-For: {', '.join(addresses)}"


def proxied(source: str, *headers: str, path: str = "/") -> dict[str, Any]:
    return {"raw": request(*headers, path=path), "source": PROXY, "first": version_1(source)}


def forwarded(*addresses: str, source: str = FORWARDER) -> dict[str, Any]:
    return {"raw": request(claim(*addresses)), "source": source}


PASSWORD = "Authorization: Basic " + base64.b64encode(f"visitor:{SECRET}".encode()).decode()
HEALTH = "GET /edge-health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
REQUESTS: dict[str, dict[str, Any]] = {
    "PROXY 1": proxied(A, claim(B)),
    "PROXY 1, IPv6": proxied(SIX),
    "PROXY 2": {"raw": request(), "source": PROXY, "first": version_2(A)},
    "PROXY on port 80": {"raw": request(), "source": PROXY, "first": version_1(A), "port": 80},
    "no header": {"raw": request(), "source": PROXY},
    "no header on port 80": {"raw": request(), "source": PROXY, "port": 80, "silent": True},
    "a visitor's header": {"raw": request(), "source": VISITOR, "first": version_1(A)},
    "a visitor's header, version 2": {"raw": request(), "source": VISITOR, "first": version_2(A)},
    "a visitor's header on port 80": {"raw": request(), "source": VISITOR, "first": version_1(A), "port": 80},
    "health": {"raw": HEALTH, "source": PROXY, "port": 8407, "silent": True},
    "health from an HTTP load balancer": {"raw": HEALTH, "source": FORWARDER, "port": 8407, "silent": True},
    "health from an HTTP load balancer on port 80": {"raw": HEALTH, "source": FORWARDER, "port": 80, "silent": True},
    "health with a header": {"raw": HEALTH, "source": PROXY, "first": version_2(), "port": 80, "silent": True},
    "other paths of the health port": {"raw": request(), "source": PROXY, "port": 8407, "silent": True},
    "forwarded": forwarded(A),
    "forwarded, IPv6": forwarded(SIX),
    "forwarded with a port": forwarded(f"{A}:1234"),
    "forwarded by two": forwarded(B, A, NEARER),
    "forwarded by four": forwarded(B, A, NEARER, FORWARDER, NEARER),
    "forwarded on port 80": forwarded(B, A) | {"port": 80},
    "two headers": {"raw": request(claim(B), claim(A)), "source": FORWARDER},
    "not forwarded": {"raw": request(), "source": FORWARDER},
    "not readable": forwarded(B, "unknown"),
    "not readable behind another one": forwarded(B, "unknown", NEARER),
    "a visitor's claim": forwarded(A, source=VISITOR),
    "a visitor's claim through the load balancer": forwarded(A, VISITOR),
    "a visitor's claim, with the load balancer's address": forwarded(A, FORWARDER, source=VISITOR),
    "a visitor's claim behind PROXY": proxied(VISITOR, claim(A)),
    "forwarded behind PROXY": proxied(FORWARDER, claim(B, A)),
    **{f"guess {number}": proxied(A, guess(number), path="/private") for number in range(TRIES + 3)},
    "the password after too many guesses": proxied(A, PASSWORD, path="/private"),
    "another visitor's password": proxied(B, PASSWORD, path="/private"),
    **{f"request {number}": forwarded("203.0.113.99") for number in range(LIMIT + 3)},
    "another visitor's request": forwarded("203.0.113.98"),
    "a tester": proxied("198.18.10.41", "X-Greenroom-Slot: green"),
    "no tester": {"raw": request("X-Greenroom-Slot: green", claim("198.18.10.41")), "source": VISITOR},
}


def edge(folder: Any, **given: Any) -> Any:
    """The folder of a rendered edge host."""
    services = folder / "services"
    (services / "home").mkdir(parents=True)
    (services / "home/service.yml").write_text(SERVICE)
    sources = {"edge_proxy_sources": [f"{PROXY}/32"], "edge_forwarded_sources": [FORWARDER, f"{NEARER}/32"]}
    rendered = render(
        "staging", folder / "edge", services, roles=("edge", "edge_slot"), hosts="edge1", **sources, **given
    )
    return rendered.folder / "edge1"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The result of each request."""
    limits = {"edge_limits": {"default": LIMIT, "login": LIMIT}, "edge_wrong_passwords": TRIES}
    found = carried_out("edge.py", edge(tmp_path_factory.mktemp("edge"), **limits), list(REQUESTS.values()))
    return dict(zip(REQUESTS, found, strict=True))


@pytest.fixture(scope="module")
def floods(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The result of each flood through the load balancer."""
    inventory = yaml.safe_load((ROOT / "inventories/staging/hosts.yml").read_text())
    peer = inventory["staging"]["children"]["app"]["hosts"]["app1"]["ansible_host"]
    limits = {"edge_maxconn": MAXCONN, "edge_source_connections": EACH}
    folder = edge(tmp_path_factory.mktemp("edge"), **limits)
    found = carried_out("flood.py", folder, [{**each, "peer": peer, "balancer": PROXY} for each in FLOODS.values()])
    return dict(zip(FLOODS, found, strict=True))


@pytest.mark.parametrize(
    ("name", "visitor"),
    [
        ("PROXY 1", A),
        ("PROXY 1, IPv6", SIX),
        ("PROXY 2", A),
        ("forwarded", A),
        ("forwarded, IPv6", SIX),
        ("forwarded with a port", A),
        ("forwarded by two", A),
        ("two headers", A),
        ("forwarded behind PROXY", A),
        ("a visitor's claim through the load balancer", VISITOR),
        # Nothing says who the visitor is.
        ("not forwarded", FORWARDER),
        ("not readable", FORWARDER),
        ("not readable behind another one", NEARER),
        ("forwarded by four", NEARER),
        # Nobody else may say it.
        ("a visitor's claim", VISITOR),
        ("a visitor's claim, with the load balancer's address", VISITOR),
        ("a visitor's claim behind PROXY", VISITOR),
    ],
)
def test_service_and_log_know_the_visitor_by_the_own_address(
    name: str, visitor: str, answers: dict[str, dict[str, Any]]
) -> None:
    assert answers[name]["status"] == 200
    assert answers[name]["got"]["headers"]["x-forwarded-for"] == visitor
    assert answers[name]["log"]["client"] == visitor


@pytest.mark.parametrize("name", ["PROXY on port 80", "forwarded on port 80"])
def test_a_redirect_is_logged_with_the_visitors_address(name: str, answers: dict[str, dict[str, Any]]) -> None:
    assert (answers[name]["status"], answers[name]["log"]["client"]) == (301, A)


@pytest.mark.parametrize("name", ["no header", "a visitor's header", "a visitor's header, version 2"])
def test_only_a_load_balancer_begins_with_a_proxy_header(name: str, answers: dict[str, dict[str, Any]]) -> None:
    assert (answers[name]["status"], answers[name]["got"]) == (None, None)


def test_only_a_load_balancer_begins_with_a_proxy_header_on_port_80(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["no header on port 80"]["status"] is None
    assert answers["a visitor's header on port 80"]["status"] == 400


def test_health_checks_of_load_balancers_are_answered(answers: dict[str, dict[str, Any]]) -> None:
    names = [name for name in REQUESTS if name.startswith("health")]
    assert [answers[name]["status"] for name in names] == [200] * 4
    assert answers["other paths of the health port"]["status"] == 404


def test_guesses_count_for_the_visitor(answers: dict[str, dict[str, Any]]) -> None:
    statuses = [answers[f"guess {number}"]["status"] for number in range(TRIES + 3)]
    assert statuses == [401] * TRIES + [429] * 3
    assert answers["the password after too many guesses"]["status"] == 429
    assert answers["another visitor's password"]["status"] == 200


def test_requests_count_for_the_visitor(answers: dict[str, dict[str, Any]]) -> None:
    statuses = [answers[f"request {number}"]["status"] for number in range(LIMIT + 3)]
    assert statuses == [200] * LIMIT + [429] * 3
    assert answers["another visitor's request"]["status"] == 200


def test_a_tester_is_known_by_the_own_address(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["a tester"]["log"]["chosen"] == "tester"
    assert answers["no tester"]["log"]["chosen"] == "live"


@pytest.mark.parametrize(("flood", "most"), [("one visitor", EACH), ("one visitor on port 80", EACH // 10)])
def test_a_visitor_behind_a_load_balancer_starves_nobody(
    flood: str, most: int, floods: dict[str, dict[str, Any]]
) -> None:
    found = floods[flood]
    assert 0 < found["held"] <= most
    assert found["visits"] == ["HTTP/1.1 200 OK", "HTTP/1.1 301 Moved Permanently"], json.dumps(found)
    assert (found["health"], found["peer"]) == ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK")
