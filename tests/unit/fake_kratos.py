# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The part of Ory Kratos' admin interface that seeding uses, in memory, for tests."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable
from typing import Any

from webserver import Asked, Reply

CREATE_KEYS = {"schema_id", "state", "traits", "verifiable_addresses", "credentials", "metadata_admin"}


def error(status: int, reason: str) -> Reply:
    return Reply(status, json.dumps({"error": {"code": status, "message": "wrong", "reason": reason}}))


class FakeKratos:
    """Identities by id; `trouble`, when it is set, may answer a request in the server's place."""

    def __init__(self) -> None:
        self.identities: dict[str, dict[str, Any]] = {}
        self.trouble: Callable[[Asked], Reply | None] = lambda asked: None
        self.writes = 0
        self._numbers = itertools.count(1)

    def add(self, address: str, metadata: Any = None, login: bool = True) -> str:
        """Put somebody in; without `login` the address is one for verification only."""
        identity = str(uuid.UUID(int=next(self._numbers)))
        self.identities[identity] = {
            "id": identity,
            "traits": {"email": address},
            "metadata_admin": metadata,
            "verifiable_addresses": [{"value": address}],
            "recovery_addresses": None,
            "credentials": {"password": {"identifiers": [address if login else f"people-{identity}"]}},
        }
        return identity

    def addresses(self) -> set[str]:
        return {each["traits"]["email"] for each in self.identities.values()}

    def respond(self, asked: Asked) -> Reply:
        """Answer a request."""
        if (trouble := self.trouble(asked)) is not None:
            return trouble
        if asked.method == "GET" and asked.path == "/admin/identities":
            return self._list(asked)
        self.writes += 1
        if asked.method == "PATCH" and asked.path == "/admin/identities":
            return self._create(json.loads(asked.body)["identities"])
        if asked.method == "DELETE":
            gone = self.identities.pop(asked.path.rpartition("/")[2], None)
            return Reply(204) if gone else error(404, "Unable to locate the resource")
        return error(404, "not found")

    def _list(self, asked: Asked) -> Reply:
        prefix = asked.query.get("preview_credentials_identifier_similar", [""])[0]
        ids = asked.query.get("ids")
        size, after = int(asked.query["page_size"][0]), asked.query.get("page_token", [""])[0]
        found = [
            each
            for key, each in sorted(self.identities.items())
            if key > after
            and (ids is None or key in ids)
            and any(name.startswith(prefix) for name in each["credentials"]["password"]["identifiers"])
        ]
        # The server's own address in a link is not one that its clients can reach.
        link = '<http://kratos:4434/admin/identities?page_size=1&page_token={}>; rel="{}"'
        links = link.format("000", "first")
        if len(found) > size:
            links += "," + link.format(found[size - 1]["id"], "next")
        return Reply(200, json.dumps(found[:size]), [("Link", links)])

    def _create(self, patches: list[dict[str, Any]]) -> Reply:
        answers: list[dict[str, Any]] = []
        for patch in patches:
            wanted = patch["create"]
            assert set(wanted) == CREATE_KEYS
            if not wanted["credentials"]["password"]["config"]["hashed_password"].startswith("$2b$"):
                return error(400, "The imported password does not match any known hash format.")
            address = wanted["traits"]["email"]
            if wanted["schema_id"] != "default":
                answers.append({"action": "error", "error": {"code": 400, "reason": "unknown schema"}})
            elif address in self.addresses():
                answers.append({"action": "error", "error": {"code": 409, "message": "conflict"}})
            else:
                identity = self.add(address, wanted["metadata_admin"])
                self.identities[identity]["traits"] = wanted["traits"]
                answers.append({"action": "create", "identity": identity})
        if len(answers) == 1 and answers[0]["action"] == "error" and answers[0]["error"]["code"] == 409:
            return error(409, "This identity conflicts with another identity that already exists.")
        return Reply(200, json.dumps({"identities": answers}))
