"""A user's actions, with the real programs."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import uuid
from html.parser import HTMLParser

import httpx
import pytest

from .real import PUBLIC_URL, Browse, KratosServer, Mailbox, Slot, StartPortal, wait_for

PASSWORD = "a long enough pass phrase"


class Forms(HTMLParser):
    """The forms of a page: action and default values, including submit buttons."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect forms and fields."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((values["action"], {}))
        elif tag in ("input", "select", "button") and "name" in values:
            self.found[-1][1].setdefault(values["name"], values.get("value", ""))

    def having(self, name: str) -> tuple[str, dict[str, str]]:
        """Return the form with a field."""
        return next(form for form in self.found if name in form[1])


def submit(browser: httpx.Client, page: httpx.Response, field: str, **values: str) -> httpx.Response:
    """Fill in the form with a field and submit it."""
    action, fields = Forms(page.text).having(field)
    return browser.post(action, data={**fields, **values})


def sign_up(browser: httpx.Client) -> tuple[str, httpx.Response]:
    """Create an account; return its address and the next page."""
    email = f"{uuid.uuid4().hex}@example.test"
    page = browser.get("/self-service/registration/browser")
    fields = {"traits.email": email, "password": PASSWORD, "traits.name.first": "Ada", "traits.name.last": "Lovelace"}
    return email, submit(browser, page, "traits.email", **fields)


@pytest.fixture(scope="module")
def blue(start_portal: StartPortal) -> Slot:
    """Return a portal of version 1.0 with its own schema."""
    return start_portal("blue", "1.0.0", "features: {test_endpoints: true}")


def test_a_user_signs_up_verifies_orders_and_deletes_the_account(blue: Slot, browse: Browse, mailbox: Mailbox) -> None:
    """All actions of a new user, in a browser without scripts."""
    browser = browse(blue)
    email, page = sign_up(browser)
    assert page.url.path == "/verification", page.text
    wait_for("verification mail", lambda: bool(mailbox.to(email)))
    (message,) = mailbox.to(email)
    assert message["from"][0]["address"] == "noreply@staging.greenroom.test"
    code = re.search(r"^\d{6}$", message["text"], re.MULTILINE)
    assert code is not None
    page = submit(browser, page, "code", code=code.group())
    assert "You successfully verified your email address." in page.text, page.text
    state = browser.get("/session").json()
    assert state == {
        "authenticated": True, "email": email, "verified": True, "slot": "blue", "identity": state["identity"]
    }  # fmt: skip

    page = submit(browser, browser.get("/orders"), "item", item="Headset")
    assert page.url.path == "/orders"
    assert [order["item"] for order in orders_of(browser)] == ["Headset"]
    page = browser.post("/orders", data={"item": "Headset"})
    assert page.status_code == 403
    action = next(action for action, _ in Forms(browser.get("/orders").text).found if action.endswith("/cancel"))
    assert browser.post(action, data=form_token(browser)).status_code == 200
    assert orders_of(browser) == []

    page = browser.post("/logout", data=form_token(browser))
    assert page.url.path == "/"
    assert not browser.get("/session").json()["authenticated"]
    assert browser.get("/orders").url.path == "/login"


def test_a_deleted_account_leaves_nothing(blue: Slot, browse: Browse, kratos: KratosServer) -> None:
    """Account, session and orders are deleted; the address can sign up again."""
    browser = browse(blue)
    email, _ = sign_up(browser)
    submit(browser, browser.get("/orders"), "item", item="Headset")
    page = browser.get("/self-service/settings/browser")
    assert "Delete account" in page.text
    assert browser.post("/account/delete").status_code == 403
    page = browser.post("/account/delete", data=form_token(browser))
    assert page.url.path == "/"
    assert not browser.get("/session").json()["authenticated"]
    found = httpx.get(f"{kratos.admin}/admin/identities", params={"credentials_identifier": email}).json()
    assert found == []


def form_token(browser: httpx.Client) -> dict[str, str]:
    """Return the form token of a session."""
    _, fields = Forms(browser.get("/orders").text).having("form_token")
    return {"form_token": fields["form_token"]}


def orders_of(browser: httpx.Client) -> list[dict[str, str]]:
    """Return a user's orders as JSON."""
    orders: list[dict[str, str]] = browser.get("/orders", headers={"Accept": "application/json"}).json()["orders"]
    return orders


def log_in(browser: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    """Log in."""
    page = browser.get("/self-service/login/browser")
    return submit(browser, page, "identifier", identifier=email, password=password)


def test_login(blue: Slot, browse: Browse) -> None:
    """A wrong password shows an error, the right one leads to the front page."""
    email, _ = sign_up(browse(blue))
    browser = browse(blue)
    page = log_in(browser, email, "a wrong password")
    assert page.status_code == 200
    assert "The provided credentials are invalid" in page.text
    assert not browser.get("/session").json()["authenticated"]
    page = log_in(browser, email)
    assert str(page.url) == f"{PUBLIC_URL}/"
    assert "Welcome back." in page.text


def test_two_users_never_share_a_session(blue: Slot, browse: Browse) -> None:
    """The portal's Kratos client keeps no cookies."""
    first, second, nobody = browse(blue), browse(blue), browse(blue)
    email_first, _ = sign_up(first)
    email_second, _ = sign_up(second)
    for _ in range(3):
        assert first.get("/session").json()["email"] == email_first
        assert second.get("/session").json()["email"] == email_second
        assert not nobody.get("/session").json()["authenticated"]
    stolen = form_token(first)
    assert second.post("/orders", data={**stolen, "item": "Headset"}).status_code == 403


@pytest.mark.parametrize(("kind", "field"), [("recovery", "email"), ("settings", "password")])
def test_other_flows_have_their_page(blue: Slot, browse: Browse, kind: str, field: str) -> None:
    """Recovery for everyone, settings for logged-in users."""
    browser = browse(blue)
    if kind == "settings":
        sign_up(browser)
    page = browser.get(f"/self-service/{kind}/browser")
    assert page.url.path == f"/{kind}"
    Forms(page.text).having(field)


def test_a_lost_flow_starts_again(blue: Slot, browse: Browse) -> None:
    """An old bookmark, or another browser's flow, leads to a new form."""
    page = browse(blue).get(f"/login?flow={uuid.uuid4()}")
    assert page.url.path == "/login"
    Forms(page.text).having("identifier")


def test_the_previous_version_accepts_a_newer_schema(blue: Slot, start_portal: StartPortal, browse: Browse) -> None:
    """1.1 migrates while 1.0 serves: 1.0 stays ready and takes orders; a rollback migrates nothing."""
    early = start_portal("green", "1.1.0", migrate=False)
    answer = httpx.get(f"{early.url}/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == {"database": "migrated to 0005, needs 0006"}
    early.program.stop()

    green = start_portal("green", "1.1.0")
    for slot in (blue, green):
        answer = httpx.get(f"{slot.url}/readyz")
        assert answer.status_code == 200, answer.text
    browser = browse(green)
    email, _ = sign_up(browser)
    page = submit(browser, browser.get("/orders"), "item", item="Work light", note="Stage left")
    assert "Stage left" in page.text
    browser = browse(blue)
    log_in(browser, email)
    page = submit(browser, browser.get("/orders"), "item", item="Fog fluid")
    assert "Stage left" not in page.text
    assert [order["item"] for order in orders_of(browser)] == ["Fog fluid", "Work light"]
    back = subprocess.run(
        [sys.executable, "-m", "portal", "migrate"], env=blue.environment, capture_output=True, text=True, check=True
    )
    assert "schema is at 0006, version 1.0.0 needs 0005" in back.stdout


def test_concurrent_migrations_wait_for_each_other(start_portal: StartPortal, blue: Slot) -> None:
    """All of them succeed."""
    command = [sys.executable, "-m", "portal", "migrate"]
    environment = {**blue.environment, "PORTAL_VERSION": "1.1.0"}
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]


def test_a_stop_finishes_open_requests(start_portal: StartPortal) -> None:
    """SIGTERM during a slow request: it gets its response, the process exits with 0, and the ID is in the log."""
    slot = start_portal("green", "1.1.0", "features: {test_endpoints: true}")
    got: list[httpx.Response] = []
    slow = threading.Thread(
        target=lambda: got.append(
            httpx.get(f"{slot.url}/slow?ms=1500", headers={"X-Request-Id": "in-flight"}, timeout=10)
        )
    )
    slow.start()
    wait_for("the request", lambda: "portal_requests" in httpx.get(f"{slot.metrics}/metrics").text)
    threading.Event().wait(0.5)
    slot.program.process.terminate()
    slow.join(10)
    assert got[0].status_code == 200
    assert slot.program.process.wait(10) == 0
    assert [line["status"] for line in slot.program.lines() if line.get("request_id") == "in-flight"] == [200]


def test_no_secret_is_logged(blue: Slot, kratos: KratosServer) -> None:
    """The logs of the portal and Kratos have no passwords, cookies or flow IDs."""
    for output in (blue.program.output, kratos.program.output):
        logged = output.read_text()
        for secret in (PASSWORD, "blue-password", "0csrf0key0", "ory_kratos_session="):
            assert secret not in logged
    assert "flow=" not in blue.program.output.read_text()
