# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The part of Ory Kratos that seeding uses, in memory, for tests."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from webserver import Asked, Reply

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "services" / "kratos" / "config" / "identity.schema.json"
SCHEMA: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
FIELDS = {
    *("schema_id", "state", "traits", "verifiable_addresses", "recovery_addresses", "credentials"),
    *("metadata_admin", "metadata_public"),
}


def error(status: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    return Reply(status, json.dumps({"error": {"code": status, "message": "wrong", "reason": reason}}), [*headers])


def _shown(identity: dict[str, Any], query: dict[str, list[str]], expanded: bool) -> dict[str, Any]:
    """Return an identity as a listing shows it: without secrets, unless the request asks for them."""
    included = query.get("include_credential", [])
    if not expanded and not included:
        return {**identity, "credentials": None}
    credentials = {
        kind: each if kind in included else {key: value for key, value in each.items() if key != "config"}
        for kind, each in identity["credentials"].items()
    }
    return {**identity, "credentials": credentials}


class FakeKratos:
    """Identities by id; `trouble`, when it is set, may answer a request in the server's place.

    With `external_ids` it is a newer one, that knows the field `external_id`, and marks pages in its own way.
    """

    def __init__(self, external_ids: bool = False) -> None:
        self.identities: dict[str, dict[str, Any]] = {}
        self.schemas: dict[str, Any] = {"default": SCHEMA}
        self.trouble: Callable[[Asked], Reply | None] = lambda asked: None
        self.external_ids = external_ids
        self.version = "v1.3.1"
        self.writes = 0
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, address: str, metadata: Any = None, login: bool = True, verifiable: bool = True) -> str:
        """Put somebody in; without `login` the address is one for verification only."""
        # Spread over the range of ids, as true ones are.
        identity = str(uuid.UUID(int=next(self._numbers) * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128))
        self.identities[identity] = {
            "id": identity,
            "state": "active",
            "traits": {"email": address} if login else {},
            "metadata_admin": metadata,
            "verifiable_addresses": [{"value": address, "verified": True}] if verifiable else None,
            "recovery_addresses": None,
            "credentials": self._written({"password": {"identifiers": [address]}} if login else {}),
        }
        return identity

    def addresses(self) -> set[str]:
        return {each["traits"].get("email") for each in self.identities.values()}

    def by_address(self, address: str) -> dict[str, Any]:
        return next(each for each in self.identities.values() if each["traits"].get("email") == address)

    def respond(self, asked: Asked) -> Reply:
        """Answer a request."""
        if (trouble := self.trouble(asked)) is not None:
            return trouble
        with self._lock:
            return self._respond(asked, json.loads(asked.body) if asked.body else None)

    def _respond(self, asked: Asked, body: Any) -> Reply:
        route = f"{asked.method} {asked.path}"
        if asked.method == "GET":
            return self._get(asked)
        if route == "PATCH /admin/identities":
            return self._create_many([patch["create"] for patch in body["identities"]])
        self.writes += 1
        if route == "POST /admin/identities":
            answer = self._create(body)
            if answer["action"] == "error":
                return error(answer["error"]["code"], answer["error"].get("reason", "conflict"))
            return Reply(201, json.dumps(self.identities[answer["identity"]]))
        return self._one(asked.method, asked.path.rpartition("/")[2], body)

    def _get(self, asked: Asked) -> Reply:
        if asked.path == "/admin/version":
            return Reply(200, json.dumps({"version": "v25.4.0" if self.external_ids else self.version}))
        if asked.path == "/schemas":
            return Reply(200, json.dumps([{"id": each, "schema": schema} for each, schema in self.schemas.items()]))
        if asked.path == "/admin/identities":
            return self._list(asked.query)
        wanted = asked.path.rpartition("/")[2]
        key = "external_id" if "/by/external/" in asked.path else "id"
        found = [each for each in self.identities.values() if each.get(key) == wanted]
        return Reply(200, json.dumps(found[0])) if found else error(404, "not found")

    def _one(self, method: str, name: str, body: Any) -> Reply:
        if name not in self.identities:
            return error(404, "Unable to locate the resource")
        there = self.identities[name]
        if method == "DELETE":
            del self.identities[name]
            return Reply(204)
        if method == "PUT":
            self._put(there, body)
        else:
            for change in body:
                *path, last = change["path"].strip("/").split("/")
                place: Any = there
                for step in path:
                    place = place[int(step) if isinstance(place, list) else step]
                place[last] = change["value"]
        there["credentials"] = self._written(there["credentials"])
        return Reply(200, json.dumps(there))

    def _put(self, there: dict[str, Any], body: dict[str, Any]) -> None:
        """Change somebody; addresses that are new are not verified, whatever the request says."""
        old = {each["value"]: each["verified"] for each in there["verifiable_addresses"] or []}
        kept = ("schema_id", "state", "traits", "metadata_admin", "metadata_public")
        there.update({key: body[key] for key in kept if key in body})
        address = body["traits"]["email"]
        there["verifiable_addresses"] = [{"value": address, "verified": old.get(address, False)}]
        if "credentials" in body:
            there["credentials"] = {"password": {"identifiers": [address], **body["credentials"]["password"]}}

    def _list(self, query: dict[str, list[str]]) -> Reply:
        if "page" in query:
            return Reply(200, "[]", [("X-Total-Count", str(len(self.identities)))])
        prefix = query.get("preview_credentials_identifier_similar", [""])[0]
        name = query.get("credentials_identifier", [""])[0]
        ids = query.get("ids")
        size, after = int(query["page_size"][0]), query.get("page_token", [""])[0].removeprefix("~")
        found = []
        for key, each in sorted(self.identities.items()):
            logins = [text for kind in each["credentials"].values() for text in kind["identifiers"]]
            fits = (name in logins) if name else not prefix or any(text.startswith(prefix) for text in logins)
            if key > after and fits and (ids is None or key in ids):
                found.append(_shown(each, query, bool(name or prefix)))
        # The server's own address in a link is not one that its clients can reach.
        link = '<http://kratos:4434/admin/identities?page_size=1&page_token={}>; rel="{}"'
        links = link.format("000", "first")
        if len(found) > size:
            mark = "~" if self.external_ids else ""
            links += "," + link.format(mark + found[size - 1]["id"], "next")
        return Reply(200, json.dumps(found[:size]), [("Link", links)])

    def _written(self, credentials: dict[str, Any]) -> dict[str, Any]:
        """Write credentials: Kratos does so with every change of an identity, whatever it changes."""
        now = datetime.now(UTC).isoformat()
        return {kind: {**each, "updated_at": now} for kind, each in credentials.items()}

    def _create_many(self, bodies: list[dict[str, Any]]) -> Reply:
        for body in bodies:
            for field in body.keys() - FIELDS - ({"external_id"} if self.external_ids else set()):
                return Reply(400, json.dumps({"error": {"code": 500, "message": f'json: unknown field "{field}"'}}))
            if body.get("state", "active") not in ("active", "inactive"):
                return error(400, "identity state is not valid")
            hashed = body.get("credentials", {}).get("password", {}).get("config", {}).get("hashed_password", "$")
            if not hashed.startswith("$"):
                return error(400, "The imported password does not match any known hash format.")
        self.writes += 1
        answers = [self._create(body) for body in bodies]
        if len(answers) == 1 and answers[0].get("error", {}).get("code") == 409:
            return error(409, "This identity conflicts with another identity that already exists.")
        if any(answer.get("error", {}).get("code") == 409 for answer in answers):
            # Kratos 1.3.1 rolls back the whole batch, and still reports the others as created.
            for answer in answers:
                self.identities.pop(answer.get("identity", ""), None)
        return Reply(200, json.dumps({"identities": answers}))

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        address = body["traits"].get("email", "")
        if body["traits"].get("refuse_me"):
            return {"action": "error", "error": {"code": 400, "reason": "refuse_me is set"}}
        taken = {each["value"] for there in self.identities.values() for each in there["verifiable_addresses"] or []}
        if address in taken | self.addresses():
            return {"action": "error", "error": {"code": 409, "message": "conflict"}}
        identity = self.add(address, body["metadata_admin"])
        there = self.identities[identity]
        given = ("schema_id", "traits", "state", "metadata_public", "external_id")
        there.update({key: body[key] for key in given if key in body})
        there["verifiable_addresses"] = body["verifiable_addresses"]
        password = body.get("credentials", {}).get("password")
        there["credentials"] = self._written({"password": {"identifiers": [address], **password}} if password else {})
        return {"action": "create", "identity": identity}
