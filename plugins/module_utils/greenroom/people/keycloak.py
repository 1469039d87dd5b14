# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The part of Keycloak's admin API that seeding needs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from ..common import web
from .client import Identity, RefusedError, ServerError, UnansweredError, content, reason
from .keycloak_users import ATTRIBUTE, Profile
from .server import Server

PAGE = 500
"""Users in one page of a listing: Keycloak reads the attributes of each one by one."""
EARLY = 10.0
"""Seconds before the end of its life at which a token is replaced."""
_ITSELF = "this module sets it up in Ory Kratos only; leave it out"


class Keycloak(Server):
    """A realm of Keycloak. `url` is that of the whole server; the client in `access` needs a service account."""

    name = "Keycloak"
    tells_passwords = False
    lacks = dict.fromkeys(("totp", "recovery_codes", "providers", "organization", "schema_id"), _ITSELF)

    def __init__(self, url: str, timeout: float, deadline: web.Deadline, *more: Any) -> None:
        super().__init__(url, timeout, deadline, *more)
        self._realm = f"{self.url}/admin/realms/{quote(self._access.realm, safe='')}"
        self._tokens = f"{self.url}/realms/{quote(self._access.realm, safe='')}/protocol/openid-connect/token"
        self._token, self._token_until = "", 0.0
        self._token_lock = threading.Lock()

    # --- requests ---

    def _admin(self, method: str, path: str, data: Any = None) -> web.Answer:
        """Send one request to the realm's admin API, with a token that is still valid."""
        used = self._fresh_token("")
        answer = self._with_token(used, method, f"{self._realm}{path}", data)
        # An admin may have ended the client's session.
        if answer.status == 401:
            answer = self._with_token(self._fresh_token(used), method, f"{self._realm}{path}", data)
        return answer

    def _with_token(self, token: str, method: str, url: str, data: Any = None) -> web.Answer:
        return self.ask(method, url, data, {"Authorization": f"Bearer {token}"})

    def _fresh_token(self, refused: str) -> str:
        """Return a token other than a refused one."""
        with self._token_lock:
            if self._token == refused or time.monotonic() >= self._token_until:
                client = {"client_id": self._access.client_id, "client_secret": self._access.client_secret}
                form = urlencode({"grant_type": "client_credentials", **client})
                answer = self.ask("POST", self._tokens, form.encode())
                found = content(answer)
                if answer.status != 200 or not isinstance(found, dict) or "access_token" not in found:
                    raise ServerError(
                        f"{self._tokens}: status {answer.status}: {_why(answer)}; the client needs a service account, "
                        "and url, realm, client_id and client_secret must be right"
                    )
                self._token = str(found["access_token"])
                self._token_until = time.monotonic() + float(found.get("expires_in") or 60) - EARLY
            return self._token

    def _read(self, path: str) -> web.Answer:
        return self.retried(self.url, lambda: self._admin("GET", path))

    def _told_version(self) -> str:
        """Return the server's version, empty if the client may not read it."""
        address = f"{self.url}/admin/serverinfo"
        answer = self.retried(self.url, lambda: self._with_token(self._fresh_token(""), "GET", address))
        found = content(answer)
        return str((found.get("systemInfo") or {}).get("version") or "") if isinstance(found, dict) else ""

    def _list(self, path: str) -> Any:
        answer = self._read(path)
        found = content(answer)
        if answer.status != 200 or found is None:
            hint = "; give the client's service account the roles of realm-management that docs/people.md names"
            raise ServerError(
                f"{self._realm}{path.partition('?')[0]}: status {answer.status}: {_why(answer)}"
                f"{hint if answer.status in (401, 403) else ''}"
            )
        return found

    # --- reading ---

    @cached_property
    def _profile(self) -> Profile:
        found = self._list("/users/profile")
        if not isinstance(found, dict) or "attributes" not in found:
            raise ServerError(f"{self.url} does not describe a user profile like Keycloak 24 or newer")
        return Profile(found)

    def ask_version(self) -> None:
        """Read the server's version, and check that the realm keeps marks."""
        if not self._profile.keeps_marks:
            raise ServerError(
                f"the realm {self._access.realm} keeps no attribute '{ATTRIBUTE}', with which users are marked; add it "
                "to the realm's user profile, for admins only (Realm settings, User profile)"
            )
        self.version = self._told_version()

    def schema(self, schema_id: str) -> dict[str, Any]:
        """Return the user profile as an identity schema; a realm has one."""
        return self._profile.schema

    def total(self) -> int | None:
        """Return the number of users."""
        found = self._list("/users/count")
        return found if isinstance(found, int) else None

    def everybody(self, connections: int) -> Iterator[list[Identity]]:
        """Yield all users, in pages."""
        return self._pages({})

    def starting_with(self, prefix: str) -> Iterator[list[Identity]]:
        """Yield the users whose login name begins with `prefix`; Keycloak also finds it in the middle of names."""
        for page in self._pages({"username": prefix}):
            yield [each for each in page if each["credentials"]["username"]["identifiers"][0].startswith(prefix)]

    def _pages(self, query: Mapping[str, Any]) -> Iterator[list[Identity]]:
        first = 0
        while True:
            parameters = {**query, "first": first, "max": PAGE, "briefRepresentation": "false"}
            found = self._list(f"/users?{urlencode(parameters)}")
            yield [self._profile.identity(each) for each in found]
            if len(found) < PAGE:
                return
            first += PAGE

    def by_id(self, ids: Sequence[str], kinds: Sequence[str] = ()) -> Iterator[list[Identity]]:
        """Yield the existing users with these ids."""
        for each in ids:
            answer = self._read(f"/users/{quote(each, safe='')}")
            found = content(answer)
            if answer.status == 200 and isinstance(found, dict):
                yield [self._profile.identity(found)]
            elif answer.status != 404:
                raise RefusedError(self.url, answer.status, _why(answer))

    def who_logs_in_as(self, name: str) -> list[Identity]:
        """Return the user with exactly this login name, if there is one."""
        query = urlencode({"username": name, "exact": "true", "briefRepresentation": "false"})
        return [self._profile.identity(each) for each in self._list(f"/users?{query}")]

    # --- changing ---

    def create(self, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Create users in one request, which Keycloak carries out as a whole; those that exist are skipped."""
        users = [self._profile.user(each) for each in bodies]
        answer = self._admin("POST", "/partialImport", {"ifResourceExists": "SKIP", "users": users})
        found = content(answer)
        if answer.status != 200:
            raise RefusedError(self.url, answer.status, _why(answer))
        if not isinstance(found, dict) or not isinstance(found.get("results"), list):
            raise UnansweredError(f"{self.url}: not a response of Keycloak: {_why(answer)}")
        made = {each.get("resourceName"): each for each in found["results"]}
        return [_result(made.get(each["username"], {})) for each in users]

    def create_one(self, body: Mapping[str, Any]) -> Identity:
        """Create one user."""
        user = self._profile.user(body)
        answer = self._admin("POST", "/users", user)
        if answer.status != 201:
            raise RefusedError(self.url, answer.status, _why(answer))
        identity = (answer.header("Location") or "").rpartition("/")[2]
        return self._profile.identity({**user, "id": identity})

    def update(self, identity: str, body: Mapping[str, Any]) -> Identity:
        """Replace a user's content, except attributes of other programs.

        Keycloak adds a password to those that there are, so they go first.
        """
        path = f"/users/{quote(identity, safe='')}"
        user = self._profile.user(body)
        user["attributes"] = self._profile.foreign(self._there(path)) | user["attributes"]
        for each in self._there(f"{path}/credentials"):
            if each.get("type") == "password":
                self._done(self._admin("DELETE", f"{path}/credentials/{quote(each['id'], safe='')}"), 204, 404)
        self._done(self._admin("PUT", path, user), 204)
        return self._profile.identity({**user, "id": identity})

    def _there(self, path: str) -> Any:
        answer = self._admin("GET", path)
        self._done(answer, 200)
        return content(answer)

    def delete(self, identity: str) -> None:
        """Remove a user, if it exists."""
        self._done(self._admin("DELETE", f"/users/{quote(identity, safe='')}"), 204, 404)

    def _done(self, answer: web.Answer, *expected: int) -> None:
        if answer.status not in expected:
            raise RefusedError(self.url, answer.status, _why(answer))


def _result(made: Mapping[str, Any]) -> dict[str, Any]:
    if made.get("action") == "ADDED" and made.get("id"):
        return {"action": "create", "identity": str(made["id"])}
    return {"action": "error", "error": {"code": 409, "reason": "the user exists already"}}


def _why(answer: web.Answer) -> str:
    """Return the reason that Keycloak gives, on one line."""
    found = content(answer)
    if isinstance(found, dict):
        for key in ("errorMessage", "error_description", "error"):
            if isinstance(found.get(key), str):
                return " ".join(found[key].split())[:300]
    return reason(answer)
