# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Attacks on the rendered edge, byte by byte: paths and headers that try to be what they are not."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from on_host import carried_out
from rendering import render
from visiting import HOST, PASSWORD, request

SERVICE = """
image: {name}
ports:
  http: {{container: {port}, from: [edge]}}
health: {{port: http, path: /ready}}
metrics: {{port: http, path: /metrics}}
routes: [{routes}]
headers: {headers}
"""
POLICY = "default-src 'self'; img-src https://a.test/50%25"
SERVICES = {
    "home": (7000, "{path: /, exclude: [/debug]}, {path: /login, limit: login}", "{}"),
    # Open, and with a part that isn't.
    "api": (7001, "{path: /api, auth: false}, {path: /api/private}", "{}"),
    "admin": (7002, "{path: /admin}", f'{{Content-Security-Policy: "{POLICY}", X-Frame-Options: ""}}'),
}

DISGUISED = [
    "/api/../admin",
    "/api/%2e%2e/admin",
    "/api/%2E./admin",
    "/api/..%2fadmin",
    "/api%2f..%2Fadmin",
    "/api/..;/admin",
    "/api/..;a=b/admin",
    "/api/..%3b/admin",
    "/api/.;/private",
    "/api/./private",
    "/api/..",
    "/api/%252e%252e/admin",
    "/api/%252e%252e%252fadmin",
    "/api/..\\admin",
    "/api/..%5cadmin",
    "/api/\\..\\admin",
    "/api/..%00/admin",
    "/api/%00",
    "/api/x%0d%0aX-Injected:%20y",
    "/api//private",
    "//admin",
    "/api/%70rivate",
    "/%6cogin",
    "/%61dmin",
    "/api/%c0%ae%c0%ae/admin",
    "/api/%u002e%u002e/admin",
    "/api/%2",
    # A service that decodes the slash or drops the parameter sees the part that isn't open.
    "/api%2fprivate",
    "/api/;x/private",
    "/api/private;x",
    "/api/private%2f1",
    "/api/private%3bx/1",
    "/login;jsessionid=1",
    "/login%2f",
]
PLAIN = [
    "/api",
    "/api/",
    "/api/1?next=/../admin&b=%2e%2e",
    "/api/a;b=c/d",
    "/api/group%2fproject",
    "/api/a%20b/caf%C3%A9",
    "/api/a..b/...",
    "/api/.well-known/x",
    "/api/100%25",
    "/api/a+b,c:d@e!$&'()*=~-._",
]
PARTS = [
    *("/", "/", "/", "api", "admin", "login", "private", "x", "", ".", "..", "..", ";", ";y=1", "\\"),
    *("%2e", "%2E%2e", "%2f", "%2F", "%5c", "%3b", "%00", "%61dmin", "priv%61te", "%252e", "%252f", "%c0%ae", "%20"),
]
CLAIMS = [
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded", "X-Forwarded-User", "Forwarded", "Forwarded-For"),
    *("X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Client-IP", "X-Cluster-Client-IP"),
    *(
        "X-Original-URL",
        "X-Original-Host",
        "X-Original-Forwarded-For",
        "X-Rewrite-URL",
        "X-Host",
        "X-HTTP-Host-Override",
    ),
    *("Client-Cert", "Client-Cert-Chain", "SSL-Client-Cert", "X-SSL-Client-Verify", "X-Client-Cert"),
    *("X-ARR-ClientCert", "X-Forwarded-Client-Cert", "SSL_CLIENT_VERIFY"),
    *("Remote-User", "Proxy", "X_Forwarded_For", "X_Real_IP", "X-Real_IP", "X.Real.IP", "REMOTE_ADDR"),
]
CLAIM = "203.0.113.7"
# What visitors send to services. The edge has no use for it.
OWN = {"x-api-key": "k", "x-csrf-token": "t", "authorization": "Bearer b", "cookie": "a=b", "x-requested-with": "x"}
UPGRADE = (
    "Connection: keep-alive, Upgrade, X-Forwarded-Proto",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
UNKNOWN_HOSTS = ["other.test", "127.0.0.1", "", f"{HOST}.", f"{HOST}:8443", f"x.{HOST}"]
CLOSED = ["/ready", "/ready/", "/metrics", "/metrics/x", "/debug", "/debug/vars"]
ACCEPTED = {"json": "application/json", "page": "text/html,application/json;q=0.9,*/*;q=0.8"}
GONE = [f"set server admin_http_blue/{host} state maint" for host in ("app1", "app2")]
SEED = 13
GENERATED = 600


def generated() -> list[str]:
    """Paths of random parts, always the same."""
    source = random.Random(SEED)
    found = ("/" + "".join(source.choices(PARTS, k=source.randint(2, 8))) for _ in range(GENERATED * 2))
    return list(dict.fromkeys(found))[:GENERATED]


def readings(path: str) -> Iterator[str]:
    """How services may read a path: decoded once or twice, without parameters, with dot segments resolved."""
    for times in range(3):
        if times:
            path = unquote(path, "latin-1")
        for parameters in (r"", r";[^/]*"):
            segments: list[str] = []
            for segment in re.sub(parameters, "", path.replace("\\", "/")).split("/"):
                if segment == "..":
                    segments = segments[:-1]
                elif segment not in ("", "."):
                    segments.append(segment)
            yield "/" + "/".join(segments)


def route(path: str) -> str:
    """The route of a path without disguise."""
    routes = ("/api/private", "/api", "/admin", "/login")
    return next((each for each in routes if f"{path}/".startswith(f"{each}/")), "/")


ATTACKS: dict[str, dict[str, Any]] = {
    **{path: {"raw": request(path)} for path in DISGUISED},
    **{f"with the password: {path}": {"raw": request(path, PASSWORD)} for path in DISGUISED},
    **{path: {"raw": request(path)} for path in PLAIN},
    **{f"generated: {path}": {"raw": request(path, PASSWORD)} for path in generated()},
    "claims": {"raw": request("/api", *(f"{name}: {CLAIM}" for name in CLAIMS))},
    "hop by hop": {
        "raw": request("/api", "Connection: close, X-Forwarded-For, X-Forwarded-Proto, Cookie", "Cookie: a=b")
    },
    "upgrade": {"raw": request("/api", *UPGRADE)},
    "upgrade to HTTP/2": {"raw": request("/api", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")},
    "own headers": {"raw": request("/api", *(f"{name}: {value}" for name, value in OWN.items()))},
    **{f"host {host}": {"raw": request("/api", host=host)} for host in UNKNOWN_HOSTS},
    **{f"host {host} on port 80": {"raw": request("/api", host=host), "port": 80} for host in UNKNOWN_HOSTS},
    "no host": {"raw": "GET /api HTTP/1.0\r\n\r\n"},
    "two hosts": {"raw": request("/api", "Host: other.test")},
    "a list of hosts": {"raw": request("/api", host=f"{HOST},other.test")},
    "another host in the path": {"raw": request("https://other.test/api", host="other.test")},
    "the host in capitals, with its port": {"raw": request("/api", host=f"{HOST.upper()}:443")},
    "by IPv6": {"raw": request("/api", f"X-Forwarded-For: {CLAIM}"), "target": "::1"},
    "by IPv6 on port 80": {"raw": request("/api"), "target": "::1", "port": 80},
    "known host on port 80": {"raw": request("/api?a=b"), "port": 80},
    **{f"closed: {path}": {"raw": request(path, PASSWORD)} for path in CLOSED},
    **{
        f"{status} {kind}": {"raw": request(path, *password, f"Accept: {accept}")}
        for status, path, password in ((404, "/ready", (PASSWORD,)), (400, "//", ()))
        for kind, accept in ACCEPTED.items()
    },
    "security headers": {"raw": request("/", PASSWORD)},
    "security headers of a response": {
        "raw": request("/?Send-Content-Security-Policy=own&Send-X-Frame-Options=SAMEORIGIN", PASSWORD)
    },
    "security headers of a service": {"raw": request("/admin", PASSWORD)},
    "security headers of a service's response": {"raw": request("/admin?Send-Content-Security-Policy=own", PASSWORD)},
    # The last ones, because the service is gone.
    **{
        f"503 {kind}": {"raw": request("/admin", PASSWORD, f"Accept: {accept}"), "commands": GONE}
        for kind, accept in ACCEPTED.items()
    },
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The result of each attack."""
    services = tmp_path_factory.mktemp("catalogue") / "services"
    for name, (port, routes, headers) in SERVICES.items():
        (services / name).mkdir(parents=True)
        text = SERVICE.format(name=name, port=port, routes=routes, headers=headers)
        (services / name / "service.yml").write_text(text)
    limits = {"edge_limits": {"default": 100_000, "login": 100_000}}
    folder = tmp_path_factory.mktemp("edge")
    edge = render("staging", folder, services, roles=("edge", "edge_slot"), hosts="edge1", **limits).folder / "edge1"
    return dict(zip(ATTACKS, carried_out("edge.py", edge, list(ATTACKS.values())), strict=True))


def headers_got(answer: dict[str, Any]) -> dict[str, str]:
    """The headers that the service got."""
    headers: dict[str, str] = answer["got"]["headers"]
    return headers


@pytest.mark.parametrize("path", DISGUISED)
def test_a_path_that_may_be_read_as_another_one_reaches_no_service(
    path: str, answers: dict[str, dict[str, Any]]
) -> None:
    for name in (path, f"with the password: {path}"):
        assert (answers[name]["status"], answers[name]["got"]) == (400, None), name


@pytest.mark.parametrize("path", PLAIN)
def test_a_path_with_one_reading_is_passed_on_unchanged(path: str, answers: dict[str, dict[str, Any]]) -> None:
    assert (answers[path]["status"], answers[path]["got"]["path"]) == (200, path)


def test_whatever_reaches_a_service_has_the_same_route_in_all_readings(answers: dict[str, dict[str, Any]]) -> None:
    taken = [path for path in generated() if answers[f"generated: {path}"]["got"]]
    wrong = [path for path in taken if len({route(each) for each in readings(path)}) > 1]
    assert wrong == [], f"seed {SEED}"
    # Otherwise, the edge might refuse everything.
    assert len(taken) > GENERATED / 50


def test_a_service_gets_no_header_in_which_a_client_claims_something(answers: dict[str, dict[str, Any]]) -> None:
    got = headers_got(answers["claims"])
    assert CLAIM not in json.dumps(got)
    assert (got["x-forwarded-for"], got["x-forwarded-proto"], got["host"]) == ("127.0.0.1", "https", HOST)


def test_a_client_is_known_by_its_ipv6_address(answers: dict[str, dict[str, Any]]) -> None:
    answer = answers["by IPv6"]
    assert (headers_got(answer)["x-forwarded-for"], answer["log"]["client"]) == ("::1", "::1")
    assert answers["by IPv6 on port 80"]["status"] == 301


def test_a_client_names_no_header_that_the_next_program_drops(answers: dict[str, dict[str, Any]]) -> None:
    got = headers_got(answers["hop by hop"])
    assert got["connection"] == "close"
    assert got["x-forwarded-for"] == "127.0.0.1"


def test_a_connection_becomes_a_websocket_and_nothing_else(answers: dict[str, dict[str, Any]]) -> None:
    got = headers_got(answers["upgrade"])
    assert (got["connection"].lower(), got["upgrade"]) == ("upgrade", "websocket")
    got = headers_got(answers["upgrade to HTTP/2"])
    assert (got["connection"], got.get("upgrade")) == ("close", None)


def test_headers_of_visitors_for_services_stay(answers: dict[str, dict[str, Any]]) -> None:
    assert headers_got(answers["own headers"]) | OWN == headers_got(answers["own headers"])


@pytest.mark.parametrize(
    "name",
    [*(f"host {host}{port}" for host in UNKNOWN_HOSTS for port in ("", " on port 80")), "another host in the path"],
)
def test_an_unknown_host_reaches_no_service(name: str, answers: dict[str, dict[str, Any]]) -> None:
    assert (answers[name]["status"], answers[name]["got"]) == (421, None)
    assert "location" not in answers[name]["headers"]


def test_a_request_without_one_host_reaches_no_service(answers: dict[str, dict[str, Any]]) -> None:
    assert (answers["no host"]["status"], answers["no host"]["got"]) == (421, None)
    for name in ("two hosts", "a list of hosts"):
        assert (answers[name]["status"], answers[name]["got"]) == (400, None), name


def test_the_known_host_reaches_its_service(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["the host in capitals, with its port"]["status"] == 200
    redirect = answers["known host on port 80"]
    assert (redirect["status"], redirect["headers"]["location"]) == (301, f"https://{HOST}/api?a=b")


@pytest.mark.parametrize("path", CLOSED)
def test_inner_pages_and_excluded_paths_are_closed(path: str, answers: dict[str, dict[str, Any]]) -> None:
    assert (answers[f"closed: {path}"]["status"], answers[f"closed: {path}"]["got"]) == (404, None)


@pytest.mark.parametrize("status", [400, 404, 503])
def test_the_edges_own_responses_are_json_for_who_asks_for_it(status: int, answers: dict[str, dict[str, Any]]) -> None:
    answer, page = answers[f"{status} json"], answers[f"{status} page"]
    assert (answer["status"], answer["headers"]["content-type"]) == (status, "application/json")
    assert json.loads(answer["body"])["status"] == status
    assert (page["status"], page["headers"]["content-type"]) == (status, "text/html; charset=utf-8")
    assert f"<h1>{status}</h1><p>{json.loads(answer['body'])['error']}</p>" in page["body"]
    assert "style-src" in page["headers"]["content-security-policy"]


def test_security_headers_are_the_responses_own_or_the_services_or_the_edges(
    answers: dict[str, dict[str, Any]],
) -> None:
    def found(name: str) -> list[str | None]:
        headers = answers[name]["headers"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "max-age=" in headers["strict-transport-security"]
        return [headers.get("content-security-policy"), headers.get("x-frame-options")]

    policy, frames = found("security headers")
    assert (str(policy).startswith("default-src 'self'; img-src 'self' data:"), frames) == (True, "DENY")
    assert found("security headers of a response") == ["own", "SAMEORIGIN"]
    assert found("security headers of a service") == [POLICY, None]
    assert found("security headers of a service's response") == ["own", None]
