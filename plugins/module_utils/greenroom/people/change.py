# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Updates synthetic users in Ory Kratos, creates them again, or removes them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .client import Identity, RefusedError
from .drift import added_credentials
from .ledger import Ledger, Row
from .ownership import Seal, merged
from .passwords import derived_hash
from .recipe.recipe import Recipe
from .server import Server
from .update import replace_user


@dataclass(frozen=True)
class Creation:
    """How the users of an operation are created, and how its results are recorded.

    `body` returns a user for Kratos. `send` creates users, {key: body}; the second argument says that they were
    there before. `conflict` and `problem` record that a user can't be changed, `updated` (key and ID) and
    `removed` that one was.
    """

    body: Callable[[str], dict[str, Any]]
    send: Callable[[dict[str, dict[str, Any]], bool], None]
    conflict: Callable[[str], None]
    problem: Callable[[str, str], None]
    updated: Callable[[str, str], None]
    removed: Callable[[], None]


class Changes:
    """Changes users that exist, for several threads."""

    def __init__(self, server: Server, recipe: Recipe, ledger: Ledger, seal: Seal, creation: Creation) -> None:
        self._server = server
        self._recipe = recipe
        self._ledger = ledger
        self._seal = seal
        self._creation = creation

    def update(self, rows: Sequence[Row]) -> None:
        """Update users. Those that were removed since the comparison are created."""
        there = self._identities(rows)
        for row in rows:
            try:
                body = self._creation.body(row.key)
                found = row.id in there and self._is_updated(row, there[row.id], body)
            except RefusedError as error:
                if error.status in (401, 403):
                    raise
                if error.status == 409:
                    self._creation.conflict(row.key)
                else:
                    self._creation.problem(row.key, error.reason)
                continue
            if found:
                self._creation.updated(row.key, row.id)
            else:
                self._ledger.remove([row.id])
                self._creation.send({row.key: body}, False)

    def renew(self, rows: Sequence[Row]) -> None:
        """Remove users and create them again in one batch. They get other IDs."""
        there = self._identities(rows)
        bodies = {row.key: merged(self._creation.body(row.key), there.get(row.id, {})) for row in rows}
        gone = {row.key for row in self._removed(rows)}
        self._creation.send({key: body for key, body in bodies.items() if key in gone}, True)

    def remove(self, rows: Sequence[Row]) -> None:
        """Remove users."""
        for _row in self._removed(rows):
            self._creation.removed()

    def _identities(self, rows: Sequence[Row]) -> dict[str, Identity]:
        return {each["id"]: each for page in self._server.by_id([row.id for row in rows]) for each in page}

    def _is_updated(self, row: Row, there: Identity, body: dict[str, Any]) -> bool:
        """Update a user; return whether it was still there."""
        if not self._recipe.has_password(row.key) and "password" in (there.get("credentials") or {}):
            # Kratos removes no password, so one that nobody knows replaces it.
            nobody_knows = derived_hash(secrets.token_urlsafe(32))
            body = self._seal.sealed(
                {**body, "credentials": {"password": {"config": {"hashed_password": nobody_knows}}}}
            )
        if row.key.isdecimal():
            for kind, which in added_credentials(there):
                self._server.repeated(partial(self._server.remove_credential, row.id, kind, **which))
        try:
            self._server.repeated(partial(replace_user, self._server, self._seal, there, body))
        except RefusedError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _removed(self, rows: Sequence[Row]) -> Iterator[Row]:
        """Remove users; yield those for whom that succeeded."""
        gone = []
        try:
            for row in rows:
                if self._is_removed(row):
                    gone.append(row.id)
                    yield row
        finally:
            # All at once: a transaction for each takes as long as its request.
            self._ledger.remove(gone)

    def _is_removed(self, row: Row) -> bool:
        """Remove a user from the server; return whether that succeeded."""
        try:
            self._server.repeated(partial(self._server.delete, row.id))
            return True
        except RefusedError as error:
            if error.status in (401, 403):
                raise
            self._creation.problem(row.key, f"not removed: {error.reason}")
            return False
