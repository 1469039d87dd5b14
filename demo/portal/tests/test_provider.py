"""Users of a sign-in provider: the lab's provider, Kratos and the portal as deployed."""

from __future__ import annotations

import uuid

import httpx
import pytest

from .real import PUBLIC_URL, Browse, KratosServer, Provider, Slot, StartPortal
from .test_people import PASSWORD, Forms, form_token, log_in, submit


@pytest.fixture(scope="module")
def green(start_portal: StartPortal) -> Slot:
    """Return a portal with its newest schema."""
    return start_portal("green", "1.1.0")


@pytest.fixture
def address(provider: Provider) -> str:
    """Return an address that the provider accepts."""
    return f"{uuid.uuid4().hex}@{provider.client['domain']}"


def choose(browser: httpx.Client, kind: str = "login") -> httpx.Response:
    """Press the provider's button and return the provider's page."""
    action, fields = Forms(browser.get(f"/self-service/{kind}/browser").text).having("provider")
    assert set(fields) == {"csrf_token", "provider"}, "there are no fields to fill in"
    return browser.post(action, data=fields)


def sign_in(browser: httpx.Client, provider: Provider, address: str, password: str = "") -> httpx.Response:
    """Log in through the provider and return the last page."""
    page = choose(browser)
    assert str(page.url).startswith(f"{provider.issuer}/interaction/"), page.text
    return browser.post(page.url, data={"login": address, "password": password or provider.client["password"]})


def identities(kratos: KratosServer, address: str) -> list[dict[str, object]]:
    """Return the accounts with an address."""
    found = httpx.get(f"{kratos.admin}/admin/identities", params={"page_size": 500}).json()
    return [identity for identity in found if identity["traits"]["email"] == address]


def test_a_user_signs_up_and_logs_in_again(
    green: Slot, browse: Browse, kratos: KratosServer, provider: Provider, address: str
) -> None:
    """The first login creates the account, with name and verified address; the second one finds it."""
    browser = browse(green)
    page = sign_in(browser, provider, address)
    assert str(page.url) == f"{PUBLIC_URL}/", page.text
    first = browser.get("/session").json()
    assert (first["authenticated"], first["verified"], first["email"]) == (True, True, address)
    (identity,) = identities(kratos, address)
    assert identity["traits"] == {"email": address, "name": {"first": "Sam", "last": "Sign-In"}}

    browser.post("/logout", data=form_token(browser))
    assert not browser.get("/session").json()["authenticated"]
    sign_in(browser, provider, address)
    assert browser.get("/session").json()["identity"] == first["identity"]

    assert browser.post("/account/delete", data=form_token(browser)).status_code == 200
    assert identities(kratos, address) == []


def test_the_sign_up_page_has_the_provider_too(green: Slot, browse: Browse, provider: Provider) -> None:
    """The button is on both pages."""
    page = choose(browse(green), "registration")
    assert str(page.url).startswith(f"{provider.issuer}/interaction/")


@pytest.mark.parametrize("wrong", ["password", "domain"])
def test_the_provider_refuses(
    green: Slot, browse: Browse, kratos: KratosServer, provider: Provider, wrong: str
) -> None:
    """It accepts no login without the password, and no address that could be real."""
    browser = browse(green)
    domain = "example.test" if wrong == "domain" else provider.client["domain"]
    address = f"{uuid.uuid4().hex}@{domain}"
    page = sign_in(browser, provider, address, "a guess" if wrong == "password" else "")
    assert page.status_code == 401
    assert "Wrong address or password." in page.text
    assert not browser.get("/session").json()["authenticated"]
    assert identities(kratos, address) == []


def test_an_existing_account_needs_its_password(
    green: Slot, browse: Browse, kratos: KratosServer, provider: Provider, address: str
) -> None:
    """To link the provider to an existing account, the user needs its password once; then both logins work."""
    browser = browse(green)
    page = browser.get("/self-service/registration/browser")
    submit(browser, page, "traits.email", **{"traits.email": address, "password": PASSWORD})
    owner = browser.get("/session").json()["identity"]

    browser = browse(green)
    page = sign_in(browser, provider, address)
    assert page.url.path == "/login"
    assert "already used by another account" in page.text
    assert not browser.get("/session").json()["authenticated"]
    submit(browser, page, "password", password=PASSWORD)
    assert browser.get("/session").json()["identity"] == owner

    by_provider, by_password = browse(green), browse(green)
    sign_in(by_provider, provider, address)
    log_in(by_password, address)
    assert [way.get("/session").json()["identity"] for way in (by_provider, by_password)] == [owner, owner]


def test_the_provider_refuses_another_redirect_uri(provider: Provider) -> None:
    """A redirect URI that is not the client's gets an error, not a redirect."""
    query = {
        "client_id": provider.client["client_id"],
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": provider.client["redirect_uri"].replace("staging", "production"),
    }
    answer = httpx.get(f"{provider.issuer}/auth", params=query, verify=provider.trust)
    assert answer.status_code == 400
    assert "invalid_redirect_uri" in answer.text


def test_no_secret_is_logged(green: Slot, kratos: KratosServer, provider: Provider) -> None:
    """The logs have no client secret, code or password."""
    for output in (green.program.output, kratos.program.output, provider.program.output):
        logged = output.read_text()
        assert provider.client["client_secret"] not in logged
        assert provider.client["password"] not in logged
    assert "code=" not in kratos.program.output.read_text()
