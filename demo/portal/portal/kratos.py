"""What the portal asks Ory Kratos: the public API with the browser's own cookies, the admin API to forget a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

TIMEOUT_SECONDS = 3.0
RECENT = timedelta(minutes=15)
SESSION_COOKIE = "ory_kratos_session"


class KratosDownError(Exception):
    """Kratos can't be reached, or answers with an error of its own."""


class FlowGoneError(Exception):
    """The flow expired, was used up, or belongs to another browser: begin a new one."""


@dataclass(frozen=True)
class Session:
    """Who is logged in."""

    id: str
    identity: str
    email: str
    verified: bool
    recent: bool
    """Whether the password was asked for lately."""


class Kratos:
    """A client of both APIs."""

    def __init__(self, url: str, admin_url: str, transport: httpx.BaseTransport | None = None) -> None:
        # Cookies belong to one browser's request. A client that kept any would hand them to the next person.
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self.client = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, transport=transport, cookies=no_cookies)
        self.admin_url = admin_url

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _ask(self, method: str, url: str, cookie: str = "", **parameters: str) -> httpx.Response:
        headers = {"Accept": "application/json"}
        if cookie:
            headers["Cookie"] = cookie
        try:
            response = self.client.request(method, url, params=parameters, headers=headers)
        except httpx.HTTPError as error:
            raise KratosDownError(type(error).__name__) from None
        if response.status_code >= 500:
            raise KratosDownError(f"status {response.status_code}")
        return response

    def ready(self) -> None:
        """Raise KratosDownError unless Kratos says that it is ready."""
        response = self._ask("GET", "/health/ready")
        if response.status_code != 200:
            raise KratosDownError(f"status {response.status_code}")

    def session(self, cookie: str) -> Session | None:
        """Return the session that the cookies stand for, None when there is none."""
        if SESSION_COOKIE not in cookie:
            return None
        response = self._ask("GET", "/sessions/whoami", cookie)
        if response.status_code != 200:
            return None
        found = response.json()
        identity = found["identity"]
        addresses = identity.get("verifiable_addresses") or []
        return Session(
            id=found["id"],
            identity=identity["id"],
            email=identity["traits"]["email"],
            verified=any(address["verified"] for address in addresses),
            recent=datetime.now(UTC) - datetime.fromisoformat(found["authenticated_at"]) < RECENT,
        )

    def flow(self, kind: str, flow: str, cookie: str) -> dict[str, Any]:
        """Return a self-service flow; raise FlowGoneError when the browser has to begin anew."""
        response = self._ask("GET", f"/self-service/{kind}/flows", cookie, id=flow)
        if response.status_code != 200:
            raise FlowGoneError(kind)
        found: dict[str, Any] = response.json()
        return found

    def error(self, identifier: str) -> str:
        """Return the reason of an error that Kratos sent the browser away with."""
        response = self._ask("GET", "/self-service/errors", id=identifier)
        if response.status_code != 200:
            return "This error is not known any more."
        found = response.json().get("error", {})
        return str(found.get("reason") or found.get("message") or "No reason was given.")

    def logout_url(self, cookie: str) -> str | None:
        """Return where the browser must go to log out, None when nobody is logged in."""
        response = self._ask("GET", "/self-service/logout/browser", cookie)
        return str(response.json()["logout_url"]) if response.status_code == 200 else None

    def forget(self, identity: str) -> None:
        """Remove a person's account, and with it all sessions."""
        response = self._ask("DELETE", f"{self.admin_url}/admin/identities/{identity}")
        if response.status_code not in (204, 404):
            raise KratosDownError(f"status {response.status_code}")
