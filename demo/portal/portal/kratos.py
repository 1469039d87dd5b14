"""The portal's client of Ory Kratos: the public API with the browser's cookies, the admin API to delete accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

TIMEOUT_SECONDS = 3.0
RECENT = timedelta(minutes=15)
SESSION_COOKIE = "ory_kratos_session"
LOGIN = "/self-service/login/browser"
SECOND_FACTOR = f"{LOGIN}?aal=aal2"


class KratosDownError(Exception):
    """Kratos can't be reached, or responds with status 500 or higher."""


class FlowGoneError(Exception):
    """The flow expired, was used, or belongs to another browser; the browser must start a new one."""


@dataclass(frozen=True)
class Session:
    """The session of a logged-in user."""

    id: str
    identity: str
    email: str
    verified: bool
    recent: bool
    """Whether the user logged in within the last 15 minutes."""


class Kratos:
    """A client of both APIs."""

    def __init__(self, url: str, admin_url: str, transport: httpx.BaseTransport | None = None) -> None:
        # Cookies belong to one browser's request. A client that kept them would send them for other users, too.
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
        """Return the session of the cookies, or None; a session that lacks the second factor doesn't count."""
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

    def login_url(self, cookie: str) -> str:
        """Return the URL to log in, or to enter the second factor after a password."""
        started = SESSION_COOKIE in cookie and self._ask("GET", "/sessions/whoami", cookie).status_code == 403
        return SECOND_FACTOR if started else LOGIN

    def flow(self, kind: str, flow: str, cookie: str) -> dict[str, Any]:
        """Return a self-service flow; raise FlowGoneError if the browser must start a new one."""
        response = self._ask("GET", f"/self-service/{kind}/flows", cookie, id=flow)
        if response.status_code != 200:
            raise FlowGoneError(kind)
        found: dict[str, Any] = response.json()
        return found

    def error(self, identifier: str) -> str:
        """Return the reason of an error for which Kratos redirected the browser."""
        response = self._ask("GET", "/self-service/errors", id=identifier)
        if response.status_code != 200:
            return "The details of this error have expired."
        found = response.json().get("error", {})
        return str(found.get("reason") or found.get("message") or "Kratos gave no reason.")

    def logout_url(self, cookie: str) -> str | None:
        """Return the URL to log out, or None if there is no session."""
        response = self._ask("GET", "/self-service/logout/browser", cookie)
        return str(response.json()["logout_url"]) if response.status_code == 200 else None

    def forget(self, identity: str) -> None:
        """Delete an account, with all its sessions."""
        response = self._ask("DELETE", f"{self.admin_url}/admin/identities/{identity}")
        if response.status_code not in (204, 404):
            raise KratosDownError(f"status {response.status_code}")
