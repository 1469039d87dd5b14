"""The demo portal's answers. A transport plays Kratos, SQLite plays PostgreSQL; demo/portal/tests has the real ones."""

from __future__ import annotations

import json
import logging
import re
import smtplib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from portal import app as portal_app
from portal.app import create_app
from portal.kratos import Kratos
from portal.metrics import Metrics
from portal.orders import Orders
from portal.receipts import ImpossibleError, Receipts
from portal.settings import Features, Options, Settings
from portal.tables import jobs, metadata
from portal.tables import orders as table
from prometheus_client import generate_latest
from sqlalchemy import Engine, create_engine, make_url, select, text, update
from sqlalchemy.pool import StaticPool
from starlette.websockets import WebSocketDisconnect

HTML = {"Accept": "text/html"}
COOKIE = "ory_kratos_session=ada"


@dataclass
class FakeKratos:
    """Kratos' public and admin API as far as the portal asks it."""

    up: bool = True
    logged_in_before: timedelta = timedelta(minutes=1)
    flows: dict[str, dict[str, Any]] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if not self.up:
            raise httpx.ConnectError("refused")
        path = request.url.path
        if request.method == "DELETE":
            self.forgotten.append(path.rsplit("/", 1)[-1])
            return httpx.Response(204)
        if path == "/self-service/errors":
            return self.found({"known": {"error": {"reason": "It expired."}}}.get(request.url.params["id"]))
        if path.endswith("/flows"):
            return self.found(self.flows.get(request.url.params["id"]))
        return httpx.Response(200) if path == "/health/ready" else self.personal(request)

    @staticmethod
    def found(content: object) -> httpx.Response:
        """Answer with what there is."""
        return httpx.Response(200 if content else 404, json=content)

    def personal(self, request: httpx.Request) -> httpx.Response:
        """Answer what depends on who asks."""
        person = re.search(r"ory_kratos_session=(\w+)", request.headers.get("cookie", ""))
        if person is None or person.group(1) == "expired":
            return httpx.Response(401, json={})
        if request.url.path == "/self-service/logout/browser":
            return httpx.Response(200, json={"logout_url": "https://portal.test/self-service/logout?token=t"})
        name = person.group(1)
        if name == "half":
            return httpx.Response(403, json={"error": {"id": "session_aal2_required"}})
        return httpx.Response(
            200,
            json={
                "id": f"session-{name}",
                "authenticated_at": (datetime.now(UTC) - self.logged_in_before).isoformat(),
                "identity": {
                    "id": f"identity-{name}",
                    "traits": {"email": f"{name}@people.test"},
                    "verifiable_addresses": [{"verified": name == "ada"}],
                },
            },
            headers={"Set-Cookie": "ory_kratos_session=somebody-else; Path=/"},
        )


@dataclass
class Portal:
    """A portal in the test's own process."""

    client: TestClient
    kratos: FakeKratos
    engine: Engine
    metrics: Metrics

    def get(self, path: str, cookie: str = "", **headers: str) -> httpx.Response:
        """Ask as a browser."""
        sent = HTML | ({"Cookie": cookie} if cookie else {}) | headers
        answer: httpx.Response = self.client.get(path, headers=sent)
        return answer

    def post(self, path: str, cookie: str = COOKIE, **form: str) -> httpx.Response:
        """Send a form as a browser."""
        answer: httpx.Response = self.client.post(path, data=form, headers=HTML | {"Cookie": cookie})
        return answer

    def token(self, cookie: str = COOKIE) -> str:
        """Return the token of a person's forms."""
        found = re.search(r'name="form_token" value="(\w+)"', self.get("/orders", cookie).text)
        assert found is not None
        return found.group(1)

    def orders(self) -> list[Any]:
        """Return all rows."""
        with self.engine.connect() as connection:
            return list(connection.execute(text("SELECT * FROM orders")).mappings())


StartPortal = Callable[..., Portal]


@pytest.fixture
def start() -> Iterator[StartPortal]:
    """Yield a function that starts a portal: version, migration that its database is at, options."""
    started: list[TestClient] = []

    def run(version: str = "1.1.0", head: str | None = "0006", **options: Any) -> Portal:
        settings = Settings(
            database_url=make_url("sqlite://"),
            csrf_keys=("the newest key of forms", "an older key of forms"),
            environment="staging",
            slot="green",
            release="1.1",
            release_id="0123456789abcdef" * 4,
            version=version,
            options=Options.model_validate(options),
        )
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        if head is not None:
            with engine.begin() as connection:
                metadata.create_all(connection)
                connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
                connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": head})
                if head < "0006":
                    connection.execute(text("ALTER TABLE orders DROP COLUMN note"))
        kratos, metrics = FakeKratos(), Metrics(settings)
        client_of_kratos = Kratos("http://kratos:4433", "http://kratos:4434", httpx.MockTransport(kratos))
        app = create_app(settings, metrics, client_of_kratos, Orders(engine, settings))
        client = TestClient(app, base_url="https://portal.test", follow_redirects=False, raise_server_exceptions=False)
        started.append(client.__enter__())
        return Portal(client, kratos, engine, metrics)

    yield run
    for client in started:
        client.__exit__(None, None, None)


@pytest.fixture
def portal(start: StartPortal) -> Portal:
    """Return a portal with all defaults."""
    return start()


def requests_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the logged requests."""
    return [vars(record)["fields"] for record in caplog.records if record.getMessage() == "request"]


# What every answer has


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/version", "/session", "/nothing", "/static/portal.css"])
def test_each_answer_names_slot_and_request(portal: Portal, path: str) -> None:
    answer = portal.get(path, **{"X-Request-Id": "from-the-edge.1"})
    assert answer.headers["X-Greenroom-Slot"] == "green"
    assert answer.headers["X-Request-Id"] == "from-the-edge.1"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, 'with"quote'])
def test_a_request_id_is_made_when_there_is_no_usable_one(portal: Portal, given: str) -> None:
    answer = portal.get("/healthz", **{"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])


def test_a_handler_that_breaks_is_answered_and_logged(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(Kratos, "session", broken)
    answer = portal.get("/session", **{"X-Request-Id": "r1"})
    assert answer.status_code == 500
    assert answer.text == "Internal Server Error"
    assert answer.headers["X-Greenroom-Slot"] == "green"
    assert any("surprise" in (record.exc_text or str(record.exc_info)) for record in caplog.records)


def test_requests_are_logged_without_query_and_cookies(portal: Portal, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    portal.get("/session?flow=secret", COOKIE, **{"X-Request-Id": "r1"})
    (fields,) = requests_of(caplog)
    assert fields.pop("ms") >= 0
    assert fields == {"request_id": "r1", "slot": "green", "method": "GET", "path": "/session", "status": 200}
    for record in caplog.records:
        if record.name.startswith("portal"):
            assert "secret" not in str(vars(record))
            assert COOKIE not in str(vars(record))


def test_probes_are_logged_only_when_something_is_wrong(portal: Portal, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    portal.get("/healthz")
    portal.get("/readyz")
    assert requests_of(caplog) == []
    portal.kratos.up = False
    portal.get("/readyz")
    assert [line["status"] for line in requests_of(caplog)] == [503]


def test_metrics_count_by_route(portal: Portal) -> None:
    portal.get("/version")
    portal.get("/nothing")
    portal.post(f"/orders/{uuid.uuid4()}/cancel", form_token=portal.token())
    shown = generate_latest(portal.metrics.registry).decode()
    assert 'portal_requests_total{method="GET",route="/version",status="200"} 1.0' in shown
    assert 'route="unmatched",status="404"} 1.0' in shown
    assert 'route="/orders/{identifier}/cancel",status="404"} 1.0' in shown
    assert 'portal_build_info{environment="staging",release="1.1",slot="green",version="1.1.0"} 1.0' in shown


# Operations


def test_version(portal: Portal) -> None:
    assert portal.get("/version").json() == {
        "version": "1.1.0",
        "release": "1.1",
        "release_id": "0123456789abcdef" * 4,
        "slot": "green",
        "environment": "staging",
    }


@pytest.mark.parametrize(
    ("version", "head", "problem"),
    [
        ("1.0.0", "0005", None),
        ("1.0.0", "0006", None),
        ("1.0.0", "0007", None),
        ("1.1.0", "0006", None),
        ("1.0.0", "0004", "migrated to 0004, needs 0005"),
        ("1.1.0", "0005", "migrated to 0005, needs 0006"),
    ],
)
def test_readiness_wants_the_schema_or_a_newer_one(
    start: StartPortal, version: str, head: str, problem: str | None
) -> None:
    answer = start(version, head).get("/readyz")
    assert answer.status_code == (503 if problem else 200)
    assert answer.json().get("problems", {}).get("database") == problem


def test_not_ready_names_each_part(start: StartPortal) -> None:
    portal = start(head=None)
    portal.kratos.up = False
    answer = portal.get("/readyz")
    assert answer.status_code == 503
    assert set(answer.json()["problems"]) == {"database", "kratos"}
    assert portal.get("/healthz").status_code == 200


def test_kratos_that_answers_with_errors_is_not_ready(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    for status in (500, 404):
        monkeypatch.setattr(FakeKratos, "__call__", lambda *_args, status=status: httpx.Response(status))
        assert portal.get("/readyz").json()["problems"] == {"kratos": f"status {status}"}


def test_test_endpoints_are_off_by_default(portal: Portal, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert portal.get("/ping?id=1").status_code == 404
    assert portal.get("/slow?ms=1").status_code == 404
    with pytest.raises(WebSocketDisconnect), portal.client.websocket_connect("/echo"):
        pass
    assert portal.client.get("/version", headers={"X-Load-Id": "n-17"}).status_code == 200
    assert "load_id" not in requests_of(caplog)[-1]


def test_test_endpoints(start: StartPortal, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    portal = start(features={"test_endpoints": True})
    assert portal.get("/ping?id=n-17").json() == {"id": "n-17", "slot": "green"}
    assert requests_of(caplog)[-1]["id"] == "n-17"
    assert portal.get("/ping?id=<script>").status_code == 422
    assert portal.get("/slow?ms=5").json() == {"id": "", "slot": "green", "ms": 5}
    assert portal.get("/slow?ms=10001").status_code == 422


@pytest.mark.parametrize("path", ["/ping", "/slow?ms=1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_load_tests_own_id_is_answered_and_logged(
    method: str, path: str, start: StartPortal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    portal = start(features={"test_endpoints": True})
    assert portal.client.request(method, path, headers={"X-Load-Id": "d1-17"}).json()["id"] == "d1-17"
    assert requests_of(caplog)[-1]["load_id"] == "d1-17"
    assert portal.client.request(method, path, headers={"X-Load-Id": "<script>"}).json()["id"] == ""
    assert "load_id" not in requests_of(caplog)[-1]


def test_a_websocket_echoes_names_its_slot_and_leaves_one_line(
    start: StartPortal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    portal = start(features={"test_endpoints": True})
    with portal.client.websocket_connect("/echo", headers={"X-Load-Id": "d1-18"}) as socket:
        assert (b"x-greenroom-slot", b"green") in list(socket.extra_headers or [])
        for text in ("one", "two"):
            socket.send_text(text)
            assert socket.receive_text() == text
    (line,) = [vars(record)["fields"] for record in caplog.records if record.message == "websocket"]
    assert line.pop("ms") >= 0
    assert line == {"slot": "green", "path": "/echo", "messages": 2, "close": 1000, "load_id": "d1-18"}


# Faults for drills


def test_never_ready(start: StartPortal) -> None:
    portal = start(fault="never_ready")
    assert portal.get("/readyz").json()["problems"] == {"fault": "never_ready"}
    assert portal.get("/").status_code == 200


def test_error_rate_spares_health_and_is_even(start: StartPortal) -> None:
    portal = start(fault="error_rate", error_percent=25)
    assert {portal.get(path).status_code for path in ("/healthz", "/readyz") for _ in range(4)} == {200}
    assert [portal.get("/version").status_code for _ in range(8)] == [200, 200, 200, 500] * 2


def test_crash_comes_a_moment_after_the_start(start: StartPortal, monkeypatch: pytest.MonkeyPatch) -> None:
    armed: list[tuple[float, list[int]]] = []

    class Timer:
        def __init__(self, seconds: float, _action: object, arguments: list[int]) -> None:
            armed.append((seconds, arguments))

        def start(self) -> None:
            """Do nothing."""

    monkeypatch.setattr("portal.app.threading.Timer", Timer)
    start(fault="crash")
    assert armed == [(portal_app.CRASH_AFTER_SECONDS, [3])]


# Pages


@pytest.mark.parametrize(("version", "notes"), [("1.0.0", "off"), ("1.1.0", "on")])
def test_front_page_shows_what_runs(start: StartPortal, version: str, notes: str) -> None:
    page = start(version, features={"new_checkout": True}).get("/")
    assert page.headers["Cache-Control"] == "no-store"
    for shown in ("staging", version, 'class="slot-green"', f"Order notes <small>{notes}</small>", "Sign up"):
        assert shown in page.text
    assert "New checkout <small>on</small>" in page.text


def test_front_page_knows_a_person(portal: Portal) -> None:
    page = portal.get("/", COOKIE)
    assert "ada@people.test" in page.text
    assert "not verified yet" not in page.text
    assert "not verified yet" in portal.get("/", "ory_kratos_session=bob").text


def test_front_page_opens_without_kratos(portal: Portal) -> None:
    portal.kratos.up = False
    page = portal.get("/", COOKIE)
    assert page.status_code == 200
    assert "Login is not possible at the moment." in page.text


def test_pages_need_no_inline_code(portal: Portal) -> None:
    for path in ("/", "/orders"):
        page = portal.get(path, COOKIE).text
        assert "<script" not in page
        assert "style=" not in page


def test_session(portal: Portal) -> None:
    assert portal.get("/session").json() == {"authenticated": False, "slot": "green"}
    assert portal.kratos.asked == []  # no cookie of Kratos, no question
    assert portal.get("/session", "ory_kratos_session=expired").json()["authenticated"] is False
    assert portal.get("/session", COOKIE).json() == {
        "authenticated": True,
        "slot": "green",
        "email": "ada@people.test",
        "identity": "identity-ada",
        "verified": True,
    }


def test_cookies_of_one_answer_are_never_sent_with_the_next_question(portal: Portal) -> None:
    portal.get("/session", COOKIE)
    portal.get("/error?id=known")
    assert "cookie" not in portal.kratos.asked[-1].headers


FLOW = {
    "ui": {
        "action": "https://portal.test/self-service/settings?flow=f1",
        "method": "POST",
        "messages": [{"type": "success", "text": "Saved <b>well</b>"}],
        "nodes": [
            {
                "type": "input",
                "group": "default",
                "attributes": {"name": "csrf_token", "type": "hidden", "value": "kratos-token"},
                "messages": [],
                "meta": {},
            },
            {
                "type": "input",
                "group": "profile",
                "attributes": {"name": "traits.email", "type": "email", "required": True, "autocomplete": "email"},
                "messages": [{"type": "error", "text": "Not an address"}],
                "meta": {"label": {"text": "E-mail"}},
            },
            {
                "type": "input",
                "group": "profile",
                "attributes": {"name": "method", "type": "submit", "value": "profile"},
                "messages": [],
                "meta": {"label": {"text": "Save"}},
            },
            {
                "type": "input",
                "group": "profile",
                "attributes": {"name": "resend", "type": "submit", "value": "yes"},
                "messages": [],
                "meta": {"label": {"text": "Again"}},
            },
            {
                "type": "input",
                "group": "password",
                "attributes": {"name": "password", "type": "password", "disabled": True},
                "messages": [],
                "meta": {},
            },
            {
                "type": "a",
                "group": "profile",
                "attributes": {"href": "https://portal.test/next", "title": {"text": "Go on"}},
                "messages": [],
                "meta": {},
            },
            {
                "type": "text",
                "group": "profile",
                "attributes": {"text": {"text": "Some words"}},
                "messages": [],
                "meta": {},
            },
        ],
    }
}


def test_a_flow_becomes_forms(portal: Portal) -> None:
    portal.kratos.flows["f1"] = FLOW
    page = portal.get("/settings?flow=f1", COOKIE).text
    assert 'id="settings" action="https://portal.test/self-service/settings?flow=f1" method="POST"' in page
    assert page.count('name="csrf_token" value="kratos-token"') == 2  # one form for each group
    assert re.search(r'type="email" name="traits.email" value=""\s*autocomplete="email" required>', page)
    assert re.search(r'type="password" name="password" value="" disabled>', page)
    assert "Saved &lt;b&gt;well&lt;/b&gt;" in page
    for shown in ("Not an address", "Go on", "Some words", "formnovalidate>Again", "Delete account"):
        assert shown in page
    asked = portal.kratos.asked[0]
    assert (asked.url.path, asked.headers["cookie"]) == ("/self-service/settings/flows", COOKIE)


def login_node(group: str, name: str, kind: str) -> dict[str, Any]:
    """A field of Kratos' login flow."""
    return {
        "type": "input",
        "group": group,
        "attributes": {"name": name, "type": kind, "value": f"{name}-value", "required": kind == "text"},
        "messages": [],
        "meta": {"label": {"text": f"Label of {name}"}},
    }


def test_a_sign_in_provider_is_a_form_of_its_own_below_the_password(portal: Portal) -> None:
    nodes = [
        login_node("oidc", "provider", "submit"),
        login_node("default", "csrf_token", "hidden"),
        login_node("default", "identifier", "text"),
        login_node("password", "password", "password"),
    ]
    action = "https://portal.test/self-service/login?flow=f1"
    portal.kratos.flows["f1"] = {"ui": {"action": action, "method": "POST", "messages": [], "nodes": nodes}}
    forms = re.findall(r"<form (.*?)</form>", portal.get("/login?flow=f1").text, re.S)
    assert [re.findall(r' name="(\w+)"', form) for form in forms] == [
        ["csrf_token", "identifier", "password"],
        ["provider", "csrf_token"],
    ]
    assert forms[0].startswith('id="login" ')
    assert re.search(r'name="provider" value="provider-value" formnovalidate>Label of provider</button>', forms[1])


@pytest.mark.parametrize("kind", ["login", "registration", "verification", "recovery", "settings"])
def test_a_flow_that_is_gone_begins_anew(portal: Portal, kind: str) -> None:
    for path in (f"/{kind}", f"/{kind}?flow=lost"):
        answer = portal.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/self-service/{kind}/browser")


def test_a_user_with_a_second_factor_must_enter_it_or_log_out(portal: Portal) -> None:
    half = "ory_kratos_session=half"
    assert portal.get("/session", half).json()["authenticated"] is False
    for path in ("/login", "/orders"):
        answer = portal.get(path, half)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/self-service/login/browser?aal=aal2")
    assert "Log in" in portal.get("/", half).text
    portal.kratos.flows["f1"] = {**FLOW, "requested_aal": "aal2"}
    page = portal.get("/login?flow=f1", half).text
    assert '<a href="https://portal.test/self-service/logout?token=t">Log in as someone else</a>' in page


def test_the_settings_page_shows_the_secret_of_one_time_codes(portal: Portal) -> None:
    secret = {"id": "totp_secret_key", "text": {"text": "ABC234"}, "node_type": "text"}
    image = {"src": "data:image/png;base64,AA==", "width": 256, "height": 256, "node_type": "img"}
    nodes = [
        {"type": "img", "group": "totp", "attributes": image, "meta": {"label": {"text": "QR code"}}, "messages": []},
        {"type": "text", "group": "totp", "attributes": secret, "meta": {}, "messages": []},
    ]
    portal.kratos.flows["f1"] = {"ui": {"action": "/", "method": "POST", "messages": [], "nodes": nodes}}
    page = portal.get("/settings?flow=f1", COOKIE).text
    assert '<p id="totp_secret_key">ABC234</p>' in page
    assert '<img src="data:image/png;base64,AA==" width="256" height="256" alt="QR code">' in page


def test_error_page(portal: Portal) -> None:
    assert "It expired." in portal.get("/error?id=known").text
    assert "The details of this error have expired." in portal.get("/error?id=other").text
    assert "No details are available" in portal.get("/error").text


def test_logout(portal: Portal) -> None:
    assert portal.post("/logout").status_code == 403
    answer = portal.post("/logout", form_token=portal.token())
    assert (answer.status_code, answer.headers["Location"]) == (303, "https://portal.test/self-service/logout?token=t")


# Orders


def test_orders_are_for_users_who_logged_in(portal: Portal) -> None:
    answer = portal.get("/orders")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/self-service/login/browser")
    assert portal.client.get("/orders").status_code == 401
    assert portal.client.post("/orders", data={"item": "Headset"}, headers=HTML).status_code == 401


def test_an_order_is_written_shown_and_cancelled(portal: Portal) -> None:
    token = portal.token()
    answer = portal.post("/orders", form_token=token, item="Headset", note=" <i>left</i> ", quantity="7")
    assert answer.status_code == 303
    (order,) = portal.orders()
    identifier = str(uuid.UUID(order["id"]))
    assert answer.headers["Location"] == f"/orders#order-{identifier}"
    assert (order["owner"], order["item"], order["note"]) == ("identity-ada", "Headset", "<i>left</i>")
    assert order["quantity"] == 1  # quantities come with the new checkout
    assert "&lt;i&gt;left&lt;/i&gt;" in portal.get("/orders", COOKIE).text
    listed = portal.client.get("/orders", headers={"Cookie": COOKIE}).json()
    assert listed == {"orders": [{"id": identifier, "item": "Headset", "state": "placed", "total": "149.00"}]}
    assert "portal_orders_total 1.0" in generate_latest(portal.metrics.registry).decode()

    bob = "ory_kratos_session=bob"
    assert "Headset" not in re.sub("<select.*</select>", "", portal.get("/orders", bob).text)
    assert portal.post(f"/orders/{identifier}/cancel", bob, form_token=portal.token(bob)).status_code == 404
    assert portal.post(f"/orders/{identifier}/cancel", form_token=token).status_code == 303
    assert portal.orders() == []


def test_an_order_leaves_a_job_in_the_same_transaction(start: StartPortal) -> None:
    portal = start(features={"receipts": True})
    portal.post("/orders", form_token=portal.token(), item="Headset")
    (order,) = portal.orders()
    with portal.engine.connect() as connection:
        (job,) = connection.execute(select(jobs)).all()
    assert (str(job.id), job.queue) == (str(uuid.UUID(order["id"])), "receipts")
    assert job.body == {
        "order": str(job.id), "to": "ada@people.test", "item": "Headset", "quantity": 1, "total_cents": 14900
    }  # fmt: skip
    with portal.engine.begin() as connection:
        connection.execute(text("DROP TABLE jobs"))
    assert portal.post("/orders", form_token=portal.token(), item="Headset").status_code == 503
    assert len(portal.orders()) == 1


@pytest.mark.parametrize(("address", "said"), [('"', "can't create a mail"), ("ä@people.test", "doesn't support this")])
def test_a_receipt_that_no_mail_server_takes_is_put_aside(
    portal: Portal, address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried for ever, it would hold up all that come after it."""

    def refuse(*_words: object) -> None:
        raise smtplib.SMTPNotSupportedError

    monkeypatch.setattr(smtplib.SMTP, "__init__", lambda *_words, **_more: None)
    monkeypatch.setattr(smtplib.SMTP, "__exit__", lambda *_words: None)
    monkeypatch.setattr(smtplib.SMTP, "send_message", refuse)
    receipts = Receipts(portal.engine, portal.client.app.state.settings)  # type: ignore[attr-defined]
    job = {"order": uuid.uuid4(), "to": address, "item": "Headset", "quantity": 1, "total_cents": 14900}
    with pytest.raises(ImpossibleError, match=said):
        receipts._send(job)


def test_without_a_worker_there_are_no_jobs(portal: Portal) -> None:
    portal.post("/orders", form_token=portal.token(), item="Headset")
    with portal.engine.connect() as connection:
        assert connection.execute(select(jobs)).all() == []


def test_who_is_forgotten_leaves_no_job(start: StartPortal) -> None:
    portal = start(features={"receipts": True})
    token = portal.token()
    portal.post("/orders", form_token=token, item="Headset")
    portal.post("/account/delete", form_token=token)
    with portal.engine.connect() as connection:
        assert connection.execute(select(jobs)).all() == []


def test_orders_of_synthetic_users_expire_and_those_of_others_never_do(start: StartPortal) -> None:
    portal = start(features={"receipts": True}, synthetic={"domain": "people.test", "order_days": 7})
    orders, owners = portal.client.app.state.orders, ("ada", "gone", "real")  # type: ignore[attr-defined]
    for owner in owners:
        address = f"{owner}@{'people.test' if owner != 'real' else 'elsewhere.people.test'}"
        for days in (6, 8):
            order = orders.create(owner, address, "Headset", 1, "")
            with portal.engine.begin() as connection:
                created = datetime.now(UTC) - timedelta(days=days)
                connection.execute(update(table).where(table.c.id == order).values(created_at=created))

    def left() -> dict[str, int]:
        with portal.engine.connect() as connection:
            ids = {job.id for job in connection.execute(select(jobs))}
            assert ids == {order.id for order in connection.execute(select(table))}
        return {owner: len(orders.of(owner)) for owner in owners}

    assert left() == {"ada": 2, "gone": 2, "real": 2}
    # A user's own orders expire with the next order, those of users who no longer order with the next seeding.
    orders.create("ada", "Ada@People.test", "Headset", 1, "")
    assert left() == {"ada": 2, "gone": 2, "real": 2}
    assert orders.expire() == 1
    assert left() == {"ada": 2, "gone": 1, "real": 2}
    assert orders.expire() == 0


def test_what_is_on_its_way_can_be_cancelled_no_more(portal: Portal) -> None:
    token = portal.token()
    portal.post("/orders", form_token=token, item="Headset")
    with portal.engine.begin() as connection:
        connection.execute(text("UPDATE orders SET state = 'shipped'"))
    (order,) = portal.orders()
    page = portal.get("/orders", COOKIE).text
    assert "€ 149.00</td>" in page
    assert '<span class="state shipped">shipped</span>' in page
    assert "/cancel" not in page
    assert portal.post(f"/orders/{uuid.UUID(order['id'])}/cancel", form_token=token).status_code == 404
    assert len(portal.orders()) == 1


def test_the_new_checkout_has_quantities(start: StartPortal) -> None:
    portal = start(features={"new_checkout": True})
    token = portal.token()
    assert 'name="quantity"' in portal.get("/orders", COOKIE).text
    assert portal.post("/orders", form_token=token, item="Headset", quantity="7").status_code == 303
    assert portal.post("/orders", form_token=token, item="Headset", quantity="100").status_code == 422
    assert [(order["quantity"], order["total_cents"]) for order in portal.orders()] == [(7, 104300)]


def test_the_first_version_knows_no_notes(start: StartPortal) -> None:
    portal = start("1.0.0", "0005")
    assert portal.post("/orders", form_token=portal.token(), item="Headset", note="left").status_code == 303
    assert 'name="note"' not in portal.get("/orders", COOKIE).text
    assert "note" not in portal.orders()[0]


@pytest.mark.parametrize(("field", "value"), [("item", "Curtain"), ("note", "x" * 201), ("item", "")])
def test_a_wrong_order_is_refused(portal: Portal, field: str, value: str) -> None:
    form = {"form_token": portal.token(), "item": "Headset"} | {field: value}
    answer = portal.post("/orders", **form)
    assert answer.status_code == 422
    assert "<h1>Unprocessable" in answer.text
    assert portal.orders() == []


def test_a_form_is_good_for_its_session_only(portal: Portal) -> None:
    ada, bob = portal.token(), portal.token("ory_kratos_session=bob")
    assert ada != bob
    for token in ("", bob, ada[:-1], "é"):
        assert portal.post("/orders", form_token=token, item="Headset").status_code == 403
    assert portal.orders() == []


def test_a_form_signed_with_an_older_key_is_accepted(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    before = portal.token()
    settings = portal.client.app.state.settings  # type: ignore[attr-defined]
    newer = ("a key that came later on", *settings.csrf_keys)
    object.__setattr__(settings, "csrf_keys", newer)
    assert portal.token() != before
    assert portal.post("/orders", form_token=before, item="Headset").status_code == 303


def test_a_person_is_forgotten(portal: Portal) -> None:
    token = portal.token()
    portal.post("/orders", form_token=token, item="Headset")
    assert portal.post("/account/delete").status_code == 403
    assert portal.post("/account/delete", form_token=token).headers["Location"] == "/"
    assert portal.orders() == []
    assert portal.kratos.forgotten == ["identity-ada"]
    assert str(portal.kratos.asked[-1].url) == "http://kratos:4434/admin/identities/identity-ada"


def test_to_be_forgotten_wants_a_recent_login(portal: Portal) -> None:
    portal.kratos.logged_in_before = timedelta(minutes=16)
    assert portal.post("/account/delete", form_token=portal.token()).status_code == 403
    assert portal.kratos.forgotten == []


def test_an_account_that_kratos_keeps_is_said(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    token, answer = portal.token(), FakeKratos.__call__
    monkeypatch.setattr(
        FakeKratos,
        "__call__",
        lambda self, request: httpx.Response(400) if request.method == "DELETE" else answer(self, request),
    )
    assert portal.post("/account/delete", form_token=token).status_code == 503


# What is down


def test_orders_say_when_the_database_is_down(start: StartPortal, caplog: pytest.LogCaptureFixture) -> None:
    portal = start(head=None)
    page = portal.get("/orders", COOKIE)
    assert page.status_code == 503
    assert page.headers["Retry-After"] == "5"
    assert "Orders are unavailable" in page.text
    answer = portal.client.get("/orders", headers={"Cookie": COOKIE})
    assert answer.json() == {"detail": "Orders are unavailable at the moment. Try again in a moment."}
    assert "database is down" in caplog.text


def test_accounts_say_when_kratos_is_down(portal: Portal) -> None:
    portal.kratos.up = False
    page = portal.get("/login?flow=f1")
    assert page.status_code == 503
    assert "Accounts are unavailable" in page.text


def test_unknown_addresses_have_a_page(portal: Portal) -> None:
    page = portal.get("/nothing", **{"X-Request-Id": "r9"})
    assert page.status_code == 404
    assert "<h1>Not Found</h1>" in page.text
    assert "r9" in page.text
    assert portal.client.get("/nothing").json() == {"detail": "Not Found"}


def test_no_interactive_documentation_is_served(portal: Portal) -> None:
    assert {portal.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")} == {404}


def test_features_are_all_off_by_default() -> None:
    assert not any(json.loads(Features().model_dump_json()).values())
