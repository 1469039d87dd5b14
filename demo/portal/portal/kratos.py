"""What the portal asks Ory Kratos' public API, with the browser's own cookies."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

TIMEOUT_SECONDS = 3.0
SESSION_COOKIE = "ory_kratos_session"


class KratosDown(Exception):
    """Kratos can't be reached, or answers with an error of its own."""


class FlowGone(Exception):
    """The flow expired, was used up, or belongs to another browser: begin a new one."""


@dataclass(frozen=True)
class Session:
    """Who is logged in."""

    id: str
    identity: str
    email: str
    verified: bool


class Kratos:
    """A client of the public API."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        # Cookies belong to one browser's request. A client that kept any would hand them to the next person.
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self.client = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, transport=transport, cookies=no_cookies)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _get(self, path: str, cookie: str = "", **parameters: str) -> httpx.Response:
        headers = {"Accept": "application/json"}
        if cookie:
            headers["Cookie"] = cookie
        try:
            response = self.client.get(path, params=parameters, headers=headers)
        except httpx.HTTPError as error:
            raise KratosDown(type(error).__name__) from None
        if response.status_code >= 500:
            raise KratosDown(f"status {response.status_code}")
        return response

    def ready(self) -> None:
        """Raise KratosDown unless Kratos says that it is ready."""
        response = self._get("/health/ready")
        if response.status_code != 200:
            raise KratosDown(f"status {response.status_code}")

    def session(self, cookie: str) -> Session | None:
        """Return the session that the cookies stand for, None when there is none."""
        if SESSION_COOKIE not in cookie:
            return None
        response = self._get("/sessions/whoami", cookie)
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
        )

    def flow(self, kind: str, flow: str, cookie: str) -> dict[str, Any]:
        """Return a self-service flow; raise FlowGone when the browser has to begin anew."""
        response = self._get(f"/self-service/{kind}/flows", cookie, id=flow)
        if response.status_code != 200:
            raise FlowGone(kind)
        found: dict[str, Any] = response.json()
        return found

    def error(self, identifier: str) -> str:
        """Return the reason of an error that Kratos sent the browser away with."""
        response = self._get("/self-service/errors", id=identifier)
        if response.status_code != 200:
            return "This error is not known any more."
        found = response.json().get("error", {})
        return str(found.get("reason") or found.get("message") or "No reason was given.")

    def logout_url(self, cookie: str) -> str | None:
        """Return where the browser must go to log out, None when nobody is logged in."""
        response = self._get("/self-service/logout/browser", cookie)
        return str(response.json()["logout_url"]) if response.status_code == 200 else None
