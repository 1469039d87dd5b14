# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who gets into a closed environment at the rendered edge, and how: by page, header, cookie, address, certificate."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from on_host import carried_out
from rendering import SECRET, render
from visiting import COOKIE, FUTURE, HOST, PASSWORD, basic, request, signed

SERVICE = """
image: {name}
ports:
  http: {{container: {port}, from: [edge]}}
health: {{port: http, path: /ready}}
routes: [{{path: {path}, auth: {auth}}}]
"""
SERVICES = {"home": (7000, "/", "true"), "api": (7001, "/api", "false")}
OFFICE = "127.0.0.60"
TRIES = 20
FORM = "/.greenroom/enter"
STATUS = "/.greenroom/status"
# What browsers send for a page that they show, and for a part of one.
PAGE = ("Sec-Fetch-Mode: navigate", "Accept: text/html,application/xhtml+xml,*/*;q=0.8")
PART = ("Sec-Fetch-Mode: no-cors", "Accept: image/avif,*/*;q=0.8")
OLD_BROWSER = "Accept: text/html,*/*;q=0.8"
OWN = f"Origin: https://{HOST}"
WANTED = ["/", "/orders?a=b&c=%2F..", "/a'b(c)!*", "/x?next=https://evil.test", "/caf%C3%A9"]
ELSEWHERE = [
    *("https://evil.test/", "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "evil.test", "", "."),
    *("/\t/evil.test", "\t//evil.test", "/\n/evil.test", "/x\r\nSet-Cookie: a=b", "/x\n", "/x\0", " /x"),
    *("javascript:alert(1)", "/x%0d%0aa: b\\", "/a b", "/\u00e9", "/" + "x" * 2500),
]
NOBODYS = [
    *(signed(1_000_000_000), signed(1_000_000_000).replace("=1", "=9"), f"{COOKIE}={FUTURE}.", f"{COOKIE}="),
    *(f"{COOKIE}=.", signed(FUTURE)[:-1], signed(FUTURE) + "0"),
]


@dataclass(frozen=True)
class Authority:
    """A CA that issues client certificates."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, name: str) -> Authority:
        """A CA of this name, with a new key."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        key = ec.generate_private_key(ec.SECP256R1())
        rights = x509.BasicConstraints(ca=True, path_length=None)
        builder = _builder(subject, subject, key, 1).add_extension(rights, critical=True)
        return cls(subject, key, builder.sign(key, hashes.SHA256()))

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, days: int = 1, usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH) -> str:
        """A certificate that ends in `days`, with its key and the CA's certificate, as a client may show them."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
        builder = _builder(subject, self.name, key, days)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        leaf = builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return leaf + self.pem + key.private_bytes(*form).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


STAFF = Authority.new("Staff")
RIGHT = STAFF.issue()
FOREIGN = {
    "of another CA": Authority.new("Others").issue(),
    "of a CA with the same name": Authority.new("Staff").issue(),
    "that has expired": STAFF.issue(days=-1),
    "of a server": STAFF.issue(usage=ExtendedKeyUsageOID.SERVER_AUTH),
}


def form(password: str = SECRET, to: str | None = "/orders", *headers: str) -> str:
    """The request that the password page sends. The page has the path in percent-encoding."""
    fields = {"password": password} | ({} if to is None else {"to": quote(to, safe="")})
    kind = "Content-Type: application/x-www-form-urlencoded"
    return request(FORM, kind, *PAGE, *(headers or (OWN,)), method="POST", body=urlencode(fields))


REQUESTS: dict[str, dict[str, Any]] = {
    **{f"page {path}": {"raw": request(path, *PAGE)} for path in WANTED},
    **{f"to {path}": {"raw": form(to=path)} for path in WANTED},
    **{f"to elsewhere {path}": {"raw": form(to=path)} for path in ELSEWHERE},
    "page in an old browser": {"raw": request("/", OLD_BROWSER)},
    "page for a form": {"raw": request("/orders", *PAGE, method="POST", body="password=" + SECRET)},
    "page of the form": {"raw": request(FORM, *PAGE)},
    "page after a wrong header": {"raw": request("/", basic("x"), *PAGE)},
    "page of a long path": {"raw": request("/" + "x" * 2500, *PAGE)},
    "page of a path with markup": {"raw": request("/\"><script>alert('1')</script>?<b>", *PAGE)},
    "status page": {"raw": request(STATUS, *PAGE)},
    "status page for a program": {"raw": request(STATUS)},
    "status page with the password": {"raw": request(STATUS, PASSWORD)},
    "status page by another method": {"raw": request(STATUS, PASSWORD, method="DELETE")},
    "status page by a preflight": {
        "raw": request(STATUS, "Origin: https://app.test", "Access-Control-Request-Method: PUT", method="OPTIONS")
    },
    "part": {"raw": request("/", *PART)},
    "json": {"raw": request("/", "Accept: application/json")},
    "program": {"raw": request("/")},
    "no target": {"raw": form(to=None)},
    "wrong": {"raw": form("guess")},
    "an empty password": {"raw": request(FORM, OWN, *PAGE, method="POST", body="password=")},
    "no field": {"raw": request(FORM, OWN, *PAGE, method="POST", body="to=%2F")},
    "a field in the query": {"raw": request(f"{FORM}?password={SECRET}", OWN, *PAGE)},
    "from another site": {"raw": form(SECRET, "/", "Origin: https://evil.test")},
    "from nowhere": {"raw": form(SECRET, "/", "Origin: null")},
    "from a name like ours": {"raw": form(SECRET, "/", f"Origin: https://{HOST}.evil.test")},
    "without origin": {"raw": form(SECRET, "/", "X-Any: x")},
    "the form's path with the cookie": {"raw": request(FORM, f"Cookie: {signed(FUTURE)}", *PAGE)},
    "wrong with the cookie": {"raw": form("guess", "/", OWN, f"Cookie: {signed(FUTURE)}")},
    **{
        f"guess {number}": {"raw": request("/", basic(f"guess-{number}")), "source": "127.0.0.50"}
        for number in range(TRIES)
    },
    **{f"guess by form {number}": {"raw": form(f"guess-{number}"), "source": "127.0.0.51"} for number in range(TRIES)},
    **{
        f"{name} after too many guesses{how}": {"raw": raw, "source": source}
        for source, how in (("127.0.0.50", ""), ("127.0.0.51", " by form"))
        for name, raw in {
            "wrong json": request("/", basic("x"), "Accept: application/json"),
            "wrong by form": form("guess"),
            "right": request("/", PASSWORD),
            "right by form": form(),
            "open": request("/api", basic("x")),
            "cookie": request("/", basic("x"), f"Cookie: {signed(FUTURE)}"),
        }.items()
    },
    "the password from elsewhere": {"raw": request("/", PASSWORD)},
    **{
        f"other sites' form {number}": {"raw": form("x", "/", "Origin: https://evil.test"), "source": "127.0.0.52"}
        for number in range(TRIES + 1)
    },
    "after other sites' forms": {"raw": form(), "source": "127.0.0.52"},
    "office": {"raw": request("/", "Authorization: Bearer b"), "source": OFFICE},
    "office with a wrong header": {"raw": request("/", basic("x")), "source": OFFICE},
    "certificate": {"raw": request("/", *PAGE), "certificate": RIGHT},
    "certificate again": {"raw": request("/", *PAGE), "certificate": RIGHT, "resumed": True},
    **{f"certificate {kind}": {"raw": request("/", *PAGE), "certificate": pem} for kind, pem in FOREIGN.items()},
    **{
        f"certificate {kind}, again": {"raw": request("/", *PAGE), "certificate": pem, "resumed": True}
        for kind, pem in FOREIGN.items()
    },
    "password with a foreign certificate": {
        "raw": request("/", PASSWORD),
        "certificate": FOREIGN["of another CA"],
    },
    "claimed certificate": {"raw": request("/", "SSL-Client-Verify: SUCCESS", "X-SSL-Client-Cert: x", *PAGE)},
    "preflight": {
        "raw": request("/", "Origin: https://app.test", "Access-Control-Request-Method: PUT", method="OPTIONS")
    },
    "no preflight": {"raw": request("/", "Origin: https://app.test", "Access-Control-Request-Method: PUT")},
    "options": {"raw": request("/", method="OPTIONS")},
    "bearer": {"raw": request("/", "Authorization: Bearer b")},
    "bearer of a program": {"raw": request("/", "Authorization: Bearer b", f"Proxy-{PASSWORD}")},
    "browser": {"raw": request("/", PASSWORD, "Sec-Fetch-Mode: navigate")},
    "program with the password": {"raw": request("/", PASSWORD)},
    "bearer of a page": {"raw": request("/", "Authorization: Bearer b", f"Cookie: a=b; {signed(FUTURE)}; c=d", *PART)},
    "the cookie at the end": {"raw": request("/", f"Cookie: a=b; {signed(FUTURE)}")},
    "only the cookie": {"raw": request("/", f"Cookie: {signed(FUTURE)}", "Sec-Fetch-Mode: navigate")},
    **{f"cookie {cookie}": {"raw": request("/", f"Cookie: {cookie}")} for cookie in NOBODYS},
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The result of each request."""
    services = tmp_path_factory.mktemp("catalogue") / "services"
    for name, (port, path, auth) in SERVICES.items():
        (services / name).mkdir(parents=True)
        (services / name / "service.yml").write_text(SERVICE.format(name=name, port=port, path=path, auth=auth))
    given = {
        "edge_limits": {"default": 100_000, "login": 100_000},
        "edge_wrong_passwords": TRIES,
        "edge_visitor_sources": [OFFICE],
        "edge_client_ca": STAFF.pem,
    }
    folder = tmp_path_factory.mktemp("edge")
    edge = render("staging", folder, services, roles=("edge", "edge_slot"), hosts="edge1", **given).folder / "edge1"
    return dict(zip(REQUESTS, carried_out("edge.py", edge, list(REQUESTS.values())), strict=True))


def headers_got(answer: dict[str, Any]) -> dict[str, str]:
    """The headers that the service got."""
    headers: dict[str, str] = answer["got"]["headers"]
    return headers


def is_page(answer: dict[str, Any]) -> bool:
    """Whether it is the password page, which no service has sent."""
    found = (answer["status"], answer["got"], answer["headers"]["content-type"])
    return found == (401, None, "text/html; charset=utf-8") and f'action="{FORM}"' in answer["body"]


def gets_in(answer: dict[str, Any]) -> bool:
    """Whether a service has responded."""
    return answer["status"] == 200 and answer["got"] is not None


def cookie_of(answer: dict[str, Any]) -> str:
    """The cookie that lets the browser in, checked."""
    cookie, *options = answer["headers"]["set-cookie"].split("; ")
    assert cookie == signed(int(re.split("[=.]", cookie)[1]))
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} < set(options)
    return str(cookie)


@pytest.mark.parametrize("path", WANTED)
def test_a_browser_gets_the_page_and_with_the_password_the_path_that_it_asked_for(
    path: str, answers: dict[str, dict[str, Any]]
) -> None:
    page = answers[f"page {path}"]
    assert is_page(page)
    # In percent-encoding, so no path can be markup.
    assert f'name="to" type="hidden" value="{quote(path, safe="")}"' in page["body"]
    entered = answers[f"to {path}"]
    assert (entered["status"], entered["headers"]["location"], entered["got"]) == (303, path, None)
    assert cookie_of(entered)


@pytest.mark.parametrize("path", ELSEWHERE)
def test_the_page_leads_nowhere_else(path: str, answers: dict[str, dict[str, Any]]) -> None:
    answer = answers[f"to elsewhere {path}"]
    assert (answer["status"], answer["headers"]["location"]) == (303, "/")
    assert answer["headers"]["set-cookie"].startswith(f"{COOKIE}=")


def test_the_page_says_nothing_of_the_environment_and_runs_nothing(answers: dict[str, dict[str, Any]]) -> None:
    page = answers["page /"]
    assert not re.search("staging|greenroom(?!/enter)|portal|<script", page["body"], re.I)
    assert re.search('<label for="password">.*<input id="password" .*type="password"', page["body"], re.S)
    policy = page["headers"]["content-security-policy"]
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} < set(policy.split("; "))
    for name in ("page /", "to /", "wrong", "part"):
        assert answers[name]["headers"]["cache-control"] == "no-store", name
        assert answers[name]["headers"].get("www-authenticate", "") in ("", f'Cookie form-action="{FORM}"'), name


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("page in an old browser", "/"),
        ("page for a form", "/orders"),
        ("page of the form", "/"),
        ("page after a wrong header", "/"),
        ("page of a long path", "/"),
        ("page of a path with markup", "/\"><script>alert('1')</script>?<b>"),
        ("no field", "/"),
        ("a field in the query", "/"),
        ("wrong", "/orders"),
        ("an empty password", "/"),
        ("claimed certificate", "/"),
    ],
)
def test_who_is_not_let_in_gets_the_page(name: str, path: str, answers: dict[str, dict[str, Any]]) -> None:
    assert is_page(answers[name])
    assert f'name="to" type="hidden" value="{quote(path, safe="")}"' in answers[name]["body"]
    assert "set-cookie" not in answers[name]["headers"]


def test_the_page_says_that_the_password_was_wrong(answers: dict[str, dict[str, Any]]) -> None:
    said = "<title>Wrong password. Password</title>"
    assert said in answers["wrong"]["body"]
    assert said in answers["page after a wrong header"]["body"]
    assert "Wrong" not in answers["page /"]["body"] + answers["no field"]["body"]


def test_programs_get_the_challenge_and_parts_of_pages_open_no_dialog(answers: dict[str, dict[str, Any]]) -> None:
    for name in ("program", "json"):
        answer = answers[name]
        assert (answer["status"], answer["got"]) == (401, None)
        assert answer["headers"]["www-authenticate"].startswith("Basic realm="), name
    assert json.loads(answers["json"]["body"])["status"] == 401
    assert (answers["part"]["status"], answers["part"]["got"]) == (401, None)
    assert answers["part"]["headers"]["www-authenticate"].startswith("Cookie ")


@pytest.mark.parametrize("name", ["from another site", "from nowhere", "from a name like ours"])
def test_another_site_cannot_send_the_form(name: str, answers: dict[str, dict[str, Any]]) -> None:
    assert answers[name]["status"] == 403
    assert "set-cookie" not in answers[name]["headers"]


def test_forms_of_other_sites_are_no_tries(answers: dict[str, dict[str, Any]]) -> None:
    assert {answers[f"other sites' form {number}"]["status"] for number in range(TRIES + 1)} == {403}
    assert answers["after other sites' forms"]["status"] == 303


def test_the_form_works_without_origin_and_for_who_is_in(answers: dict[str, dict[str, Any]]) -> None:
    assert cookie_of(answers["without origin"])
    for name in ("the form's path with the cookie", "wrong with the cookie"):
        assert (answers[name]["status"], answers[name]["headers"]["location"]) == (303, "/")
    assert answers["no target"]["headers"]["location"] == "/"


@pytest.mark.parametrize("how", ["", " by form"])
def test_guesses_of_the_password_have_their_own_limit(how: str, answers: dict[str, dict[str, Any]]) -> None:
    assert {answers[f"guess{how} {number}"]["status"] for number in range(TRIES)} == {401}

    def after(name: str) -> dict[str, Any]:
        return answers[f"{name} after too many guesses{how}"]

    assert after("wrong json")["headers"]["retry-after"] == "60"
    assert json.loads(after("wrong json")["body"])["status"] == 429
    # Otherwise, a guess beyond the limit would still show whether it is right.
    for name in ("wrong by form", "right", "right by form"):
        assert (after(name)["status"], after(name)["headers"].get("set-cookie")) == (429, None), name
    assert gets_in(after("open"))
    assert gets_in(after("cookie"))
    assert gets_in(answers["the password from elsewhere"])


def test_an_office_address_needs_no_password(answers: dict[str, dict[str, Any]]) -> None:
    assert headers_got(answers["office"])["authorization"] == "Bearer b"
    # It is a service's own password.
    assert headers_got(answers["office with a wrong header"])["authorization"] == basic("x").partition(": ")[2]


def test_a_client_certificate_of_the_ca_needs_no_password(answers: dict[str, dict[str, Any]]) -> None:
    assert gets_in(answers["certificate"])
    assert (gets_in(answers["certificate again"]), answers["certificate again"]["reused"]) == (True, True)


@pytest.mark.parametrize("kind", FOREIGN)
def test_another_certificate_is_as_good_as_none(kind: str, answers: dict[str, dict[str, Any]]) -> None:
    assert is_page(answers[f"certificate {kind}"])
    again = answers[f"certificate {kind}, again"]
    assert (is_page(again), again["reused"]) == (True, True)
    assert gets_in(answers["password with a foreign certificate"])


def test_preflights_need_no_password_and_other_requests_do(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["preflight"]["got"]["path"] == "/"
    for name in ("no preflight", "options", "bearer"):
        assert (answers[name]["status"], answers[name]["got"]) == (401, None), name


def test_a_program_sends_the_password_beside_its_own_token(answers: dict[str, dict[str, Any]]) -> None:
    got = headers_got(answers["bearer of a program"])
    assert got["authorization"] == "Bearer b"
    assert "proxy-authorization" not in got


def test_a_browser_gets_a_cookie_for_the_password(answers: dict[str, dict[str, Any]]) -> None:
    assert "set-cookie" not in answers["program with the password"]["headers"]
    assert cookie_of(answers["browser"])
    assert "set-cookie" not in answers["only the cookie"]["headers"]


def test_a_page_sends_its_own_token_beside_the_cookie(answers: dict[str, dict[str, Any]]) -> None:
    got = headers_got(answers["bearer of a page"])
    assert (got["authorization"], got["cookie"]) == ("Bearer b", "a=b; c=d")
    assert headers_got(answers["the cookie at the end"])["cookie"] == "a=b"
    assert "cookie" not in headers_got(answers["only the cookie"])


@pytest.mark.parametrize("cookie", NOBODYS)
def test_an_invalid_cookie_opens_nothing(cookie: str, answers: dict[str, dict[str, Any]]) -> None:
    answer = answers[f"cookie {cookie}"]
    assert (answer["status"], answer["got"]) == (401, None)


def test_the_status_page_needs_the_password_and_comes_from_no_service(answers: dict[str, dict[str, Any]]) -> None:
    assert is_page(answers["status page"])
    assert answers["status page for a program"]["status"] == 401
    # No ops host is here. The log says where the request went, and counts it for no slot.
    shown = answers["status page with the password"]
    assert (shown["status"], shown["got"], shown["log"]["backend"]) == (503, None, "status_page")
    assert shown["log"]["slot"] not in ("blue", "green")
    for name in ("status page by another method", "status page by a preflight"):
        assert (answers[name]["got"], answers[name]["log"]["backend"]) == (None, "nowhere"), name
