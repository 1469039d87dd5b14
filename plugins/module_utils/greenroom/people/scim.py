# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The part of SCIM 2.0 (RFC 7643, RFC 7644) that seeding needs.

SCIM knows neither hashes nor metadata: the server gets the password itself, and the mark is in `externalId`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from ..common import web
from .client import Identity, RefusedError, ServerError, UnansweredError, content, reason
from .recipe.recipe import MARK, Recipe
from .server import Server

PAGE = 200
"""Users in one page of a listing; a server may return fewer."""
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_CONFIGURATION = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_TYPE = {"Content-Type": "application/scim+json", "Accept": "application/scim+json, application/json"}
_SIGNED = ("set", "seed", "key", "recipe", "content", "signature")
"""What `externalId` has of a mark. The login is the user's name, and so a copied mark has another one."""
_PLAIN = {
    "displayName": "displayName",
    "jobTitle": "title",
    "preferredLanguage": "preferredLanguage",
    "locale": "locale",
    "timezone": "timezone",
}
"""Traits and their attributes, if the server's schema has them."""
_NAMES = ("givenName", "familyName")
_NOT_THERE = "SCIM has nothing like it; leave it out"


class Scim(Server):
    """A server with SCIM 2.0. `url` is the one below which `Users` is."""

    name = "SCIM"
    imports_hashes = False
    tells_passwords = False
    lacks = dict.fromkeys(
        ("totp", "recovery_codes", "providers", "organization", "schema_id", "metadata_public", "metadata_admin"),
        _NOT_THERE,
    )

    def refuse(self, recipe: Recipe) -> None:
        """Raise ServerError if users of the recipe can't be on this server."""
        super().refuse(recipe)
        for key in ("metadata_public", "metadata_admin"):
            if getattr(recipe, key):
                raise ServerError(f"{key}: {_NOT_THERE}")
        if recipe.verified < 1 or any(persona.verified is False for persona in recipe.personas):
            raise ServerError(f"verified: {_NOT_THERE} (also personas such as unverified)")

    # --- requests ---

    def _users(self, method: str, path: str = "", data: Any = None) -> web.Answer:
        return self.ask(method, f"{self.url}/Users{path}", data, _TYPE)

    def _read(self, path: str) -> web.Answer:
        return self.retried(self.url, lambda: self.ask("GET", f"{self.url}{path}", None, _TYPE))

    # --- reading ---

    def ask_version(self) -> None:
        """Check that the server knows SCIM 2.0."""
        answer = self._read("/ServiceProviderConfig")
        found = content(answer)
        if answer.status != 200 or not isinstance(found, dict) or _CONFIGURATION not in (found.get("schemas") or ()):
            hint = "; set headers, such as Authorization" if answer.status in (401, 403) else ""
            raise ServerError(
                f"{self.url} does not respond like SCIM 2.0: status {answer.status}: {_why(answer)}{hint}"
            )
        self.version = "2.0"

    @cached_property
    def _known(self) -> frozenset[str]:
        """The attributes of a user that the server knows; only names and addresses if it doesn't say."""
        answer = self._read(f"/Schemas/{USER}")
        found = content(answer)
        attributes = found.get("attributes") if answer.status == 200 and isinstance(found, dict) else None
        return frozenset(str(each.get("name")) for each in attributes or ())

    def schema(self, schema_id: str) -> dict[str, Any]:
        """Return the attributes that users get, as an identity schema."""
        identifier = {"credentials": {"password": {"identifier": True}}}
        traits: dict[str, Any] = {
            "email": {"type": "string", "format": "email", "ory.sh/kratos": identifier},
            **{
                name: {"type": "string"}
                for name in (*_NAMES, *(each for each, its in _PLAIN.items() if its in self._known))
            },
        }
        if "phoneNumbers" in self._known:
            traits["phone"] = {"type": "string", "format": "tel"}
        described = {"type": "object", "properties": traits, "required": [*traits], "additionalProperties": False}
        return {"properties": {"traits": described}}

    def total(self) -> int | None:
        """Return the number of users."""
        found = self._found({"startIndex": 1, "count": 1}).get("totalResults")
        return found if isinstance(found, int) else None

    def everybody(self, connections: int) -> Iterator[list[Identity]]:
        """Yield all users, in pages."""
        return self._pages({})

    def starting_with(self, prefix: str) -> Iterator[list[Identity]]:
        """Yield the users whose login name begins with `prefix`."""
        return self._pages({"filter": f'userName sw "{prefix}"'})

    def _pages(self, query: Mapping[str, Any]) -> Iterator[list[Identity]]:
        start = 1
        while True:
            found = self._found({**query, "startIndex": start, "count": PAGE})
            page = found.get("Resources") or []
            yield [_identity(each) for each in page]
            start += len(page)
            if not page or start > int(found.get("totalResults") or 0):
                return

    def _found(self, query: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._read(f"/Users?{urlencode(query)}")
        found = content(answer)
        if answer.status != 200 or not isinstance(found, dict):
            raise ServerError(f"{self.url} does not list users like SCIM 2.0: status {answer.status}: {_why(answer)}")
        return found

    def by_id(self, ids: Sequence[str], kinds: Sequence[str] = ()) -> Iterator[list[Identity]]:
        """Yield the existing users with these ids."""
        for each in ids:
            answer = self._read(f"/Users/{quote(each, safe='')}")
            found = content(answer)
            if answer.status == 200 and isinstance(found, dict):
                yield [_identity(found)]
            elif answer.status != 404:
                raise RefusedError(self.url, answer.status, _why(answer))

    def who_logs_in_as(self, name: str) -> list[Identity]:
        """Return the user with exactly this login name, if there is one."""
        return [_identity(each) for each in self._found({"filter": f'userName eq "{name}"'}).get("Resources") or []]

    # --- changing ---

    def create(self, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Create users one by one: not every server has bulk operations."""
        results: list[dict[str, Any]] = []
        for body in bodies:
            try:
                results.append({"action": "create", "identity": self.create_one(body)["id"]})
            except RefusedError as error:
                if error.status in (401, 403):
                    raise
                results.append({"action": "error", "error": {"code": error.status, "reason": error.reason}})
            except UnansweredError as error:
                raise UnansweredError(
                    str(error),
                    perhaps_done=error.perhaps_done or bool(results),
                    after=error.after,
                    too_many=error.too_many,
                ) from error
        return results

    def create_one(self, body: Mapping[str, Any]) -> Identity:
        """Create one user."""
        answer = self._users("POST", data=_user(body))
        if answer.status != 201:
            raise RefusedError(self.url, answer.status, _why(answer))
        found = content(answer)
        if not isinstance(found, dict) or not found.get("id"):
            raise UnansweredError(f"{self.url}: not a response of SCIM 2.0: {_why(answer)}")
        return _identity(found)

    def update(self, identity: str, body: Mapping[str, Any]) -> Identity:
        """Replace what users have from seeding. What other programs have added stays."""
        path = f"/{quote(identity, safe='')}"
        answer = self._users("GET", path)
        there = content(answer)
        if answer.status != 200 or not isinstance(there, dict):
            raise RefusedError(self.url, answer.status, _why(answer))
        given = _user(body)
        kept = {key: value for key, value in there.items() if key not in ("meta", "groups")}
        schemas = list(dict.fromkeys((*(there.get("schemas") or ()), USER)))
        answer = self._users("PUT", path, {**kept, **given, "id": identity, "schemas": schemas})
        if answer.status != 200:
            raise RefusedError(self.url, answer.status, _why(answer))
        return _identity({**given, "id": identity})

    def delete(self, identity: str) -> None:
        """Remove a user, if it exists."""
        answer = self._users("DELETE", f"/{quote(identity, safe='')}")
        if answer.status not in (204, 404):
            raise RefusedError(self.url, answer.status, _why(answer))


def _user(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity as a user for SCIM."""
    traits, mark = body["traits"], body["metadata_admin"][MARK]
    config = ((body.get("credentials") or {}).get("password") or {}).get("config") or {}
    user = {
        "schemas": [USER],
        "userName": traits["email"],
        "externalId": MARK + json.dumps([mark.get(key, "") for key in _SIGNED], separators=(",", ":")),
        "active": body["state"] == "active",
        "name": {name: traits[name] for name in _NAMES if name in traits},
        "emails": [{"value": traits["email"], "type": "work", "primary": True}],
        **{attribute: traits[name] for name, attribute in _PLAIN.items() if name in traits},
    }
    if "phone" in traits:
        user["phoneNumbers"] = [{"value": traits["phone"], "type": "work"}]
    return {**user, "password": config["password"]} if config.get("password") else user


def _identity(user: Mapping[str, Any]) -> Identity:
    """Return a user of SCIM as an identity."""
    login = str(user.get("userName") or "")
    traits = {name: value for name, value in (user.get("name") or {}).items() if name in _NAMES and value is not None}
    traits |= {name: user[attribute] for name, attribute in _PLAIN.items() if user.get(attribute) is not None}
    if emails := user.get("emails"):
        traits["email"] = emails[0].get("value")
    if phones := user.get("phoneNumbers"):
        traits["phone"] = str(phones[0].get("value")).removeprefix("tel:")
    mark = _mark(user.get("externalId"), login)
    return {
        "id": str(user["id"]),
        "state": "active" if user.get("active", True) else "inactive",
        "traits": traits,
        "credentials": {"userName": {"identifiers": [login]}},
        "metadata_admin": {MARK: mark} if mark else {},
    }


def _mark(external: Any, login: str) -> dict[str, Any]:
    """Return the mark in `externalId`, empty if another program has put something else there."""
    if not isinstance(external, str) or not external.startswith(f"{MARK}["):
        return {}
    try:
        values = json.loads(external.removeprefix(MARK))
    except ValueError:
        return {}
    if len(values) != len(_SIGNED):
        return {}
    found = {key: value for key, value in zip(_SIGNED, values, strict=True) if value != ""}
    return {**found, "password": "", "login": login}


def _why(answer: web.Answer) -> str:
    """Return the reason that the server gives, on one line."""
    found = content(answer)
    if isinstance(found, dict) and isinstance(found.get("detail"), str):
        return " ".join(found["detail"].split())[:300]
    return reason(answer)
