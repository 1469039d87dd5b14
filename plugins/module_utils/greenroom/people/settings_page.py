# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Sets up second factors on Ory Kratos' settings page, as a user of the identity.

Kratos' admin API issues a code for account recovery, which logs in as anyone without a password. The address doesn't
become verified by it.
"""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from ..common import totp, web
from .client import RefusedError, content, reason
from .kratos import Kratos

_RECOVERED = (200, 303, 422)
"""With status 422, Kratos tells a browser's program to open the settings page."""


class SettingsPage:
    """The settings page of one identity. Opening it logs in."""

    def __init__(self, kratos: Kratos, identity: str) -> None:
        self._kratos = kratos
        self._cookies: dict[str, str] = {}
        self._recover(identity)
        self._flow = self._found(self._public("GET", "self-service/settings/browser"))

    def set_up_totp(self) -> None:
        """Set up one-time codes. Kratos makes the secret, and wants the first code of it."""
        secret = self._node("totp_secret_key").get("text", {}).get("text", "")
        self._submit({"method": "totp", "totp_code": totp.code(secret)})

    def set_up_recovery_codes(self) -> None:
        """Set up recovery codes, which Kratos makes."""
        self._submit({"method": "lookup_secret", "lookup_secret_regenerate": True})
        self._submit({"method": "lookup_secret", "lookup_secret_confirm": True})

    def log_out(self) -> None:
        """End the session."""
        token = self._found(self._public("GET", "self-service/logout/browser")).get("logout_token")
        self._public("GET", f"self-service/logout?{urlencode({'token': token or ''})}")

    def _recover(self, identity: str) -> None:
        answer = self._kratos.recovery_code(identity)
        flow = parse_qs(urlsplit(str(answer.get("recovery_link"))).query).get("flow", [""])[0]
        body = {"method": "code", "code": answer.get("recovery_code")}
        reply = self._public("POST", f"self-service/recovery?{urlencode({'flow': flow})}", body)
        if reply.status not in _RECOVERED or not any("session" in name for name in self._cookies):
            raise RefusedError(self._kratos.public_url, reply.status, f"no login by account recovery: {reason(reply)}")

    def _submit(self, fields: dict[str, Any]) -> None:
        csrf = self._node("csrf_token").get("value", "")
        path = f"self-service/settings?{urlencode({'flow': self._flow['id']})}"
        self._flow = self._found(self._public("POST", path, {**fields, "csrf_token": csrf}))

    def _node(self, name: str) -> dict[str, Any]:
        """Return the attributes of a field or text of the page."""
        for node in self._flow.get("ui", {}).get("nodes", []):
            attributes: dict[str, Any] = node.get("attributes") or {}
            if name in (attributes.get("name"), attributes.get("id")):
                return attributes
        raise RefusedError(
            self._kratos.public_url, 200, f"the settings page has no {name}; enable totp and lookup_secret in Kratos"
        )

    def _public(self, method: str, path: str, data: Any = None) -> web.Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": cookies} if cookies else {}
        answer = self._kratos.ask(method, f"{self._kratos.public_url}/{path}", data, headers)
        for line in answer.headers.get_all("Set-Cookie") or []:
            # The host has another name than in the cookie, because this is not the environment's public address.
            self._cookies.update({name: each.value for name, each in SimpleCookie(line).items()})
        return answer

    def _found(self, answer: web.Answer) -> dict[str, Any]:
        found = content(answer)
        if answer.status != 200 or not isinstance(found, dict):
            raise RefusedError(self._kratos.public_url, answer.status, _messages(found) or reason(answer))
        return found


def _messages(found: Any) -> str:
    """Return the messages on a page that refuses a form."""
    if not isinstance(found, dict) or not isinstance(found.get("ui"), dict):
        return ""
    nodes = [found["ui"], *found["ui"].get("nodes", [])]
    return "; ".join(str(each.get("text")) for node in nodes for each in node.get("messages") or [])
