# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Creates, updates and removes identities in Ory Kratos until they are as a recipe says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .identities import CURRENT, EXTRA, addresses_of, is_wanted, key_of, mark_of
from .invent.inventor import Inventor
from .kratos import Kratos
from .kratos_client import Identity, KratosError, RefusedError, UnansweredError, said
from .ledger import Ledger, Row
from .ownership import UNPROVEN, Seal
from .recipe.recipe import MARK, Recipe
from .update import replace_user

BATCH = 500
"""Users that one request creates."""
FEW = 20
"""Users that a thread updates or removes between two looks at the clock; also the length of lists of problems."""


@dataclass
class Progress:
    """What an operation has done and found so far; kept in the ledger between two calls."""

    todo: int = 0
    created: int = 0
    updated: int = 0
    removed: int = 0
    equipped: int = 0
    seconds: float = 0
    drifted: int = 0
    conflicts: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    refused: int = 0
    unclear: list[str] = field(default_factory=list)
    behind: dict[str, str] = field(default_factory=dict)
    news: bool = False

    @property
    def done(self) -> int:
        """How many users need no more work, whether it succeeded or not."""
        return self.created + self.updated + self.removed + self.refused + len(self.conflicts) + len(self.unclear)

    @property
    def rate(self) -> float:
        """Users per second of work."""
        return (self.created + self.updated + self.removed) / self.seconds if self.seconds else 0


class Work:
    """Creates, updates and removes users until the ledger has no more work."""

    def __init__(
        self,
        kratos: Kratos,
        recipe: Recipe,
        ledger: Ledger,
        progress: Progress,
        *,
        connections: int,
        seal: Seal,
        inventor: Inventor | None = None,
        hash_of: Callable[[str], str] = lambda key: "",
    ) -> None:
        """Without an `inventor`, no user is created or updated. `hash_of` returns a user's password hash."""
        self._kratos = kratos
        self._recipe = recipe
        self._ledger = ledger
        self._seal = seal
        self._inventor = inventor
        self._hash_of = hash_of
        self._connections = connections
        self.progress = progress
        self._lock = threading.RLock()
        self._failure: Exception | None = None
        # A few users are divided among the connections.
        self._batch = max(1, min(BATCH, -(-progress.todo // connections)))

    def go(self, seconds: float, statuses: Sequence[str], create: bool) -> bool:
        """Remove or update users of these statuses and create users, for about so long; return whether all is done."""
        started = time.monotonic()
        stop = started + seconds
        if self._inventor is not None:
            # Otherwise, every thread would send this request.
            self._kratos.knows_external_id()
        finished = [False] * self._connections

        def run(number: int) -> None:
            try:
                while self._failure is None:
                    job = self._next(statuses, create)
                    if job is None:
                        finished[number] = True
                        return
                    job()
                    if time.monotonic() >= stop:
                        return
            except Exception as error:
                self._failure = error

        threads = [threading.Thread(target=run, args=(number,)) for number in range(self._connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        over = all(finished) and self._failure is None
        if over:
            self._resolve_unclear()
        self.progress.seconds += time.monotonic() - started
        if self._failure is not None:
            raise self._failure
        return over

    def _next(self, statuses: Sequence[str], create: bool) -> Callable[[], None] | None:
        """Take the next piece of work."""
        with self._lock:
            for status in statuses:
                rows = self._ledger.after(status, self.progress.behind.get(status, ""), FEW)
                if rows:
                    self.progress.behind[status] = rows[-1].id
                    return partial(self._remove if status == EXTRA else self._update, rows)
            keys = self._ledger.take_missing(self._batch) if create else []
            return partial(self._create, keys) if keys else None

    # --- results ---

    def _record_created(self, ids: Mapping[str, str], now: bool = True) -> None:
        """Record the users that were created, {key: id}; without `now`, some time ago."""
        with self._lock:
            self._record(ids, self._kratos.now() if now else 0)
            self.progress.created += len(ids)

    def _record(self, ids: Mapping[str, str], stamp: float) -> None:
        self._ledger.put(Row(each, self._recipe.seed, key, CURRENT, True, stamp) for key, each in ids.items())

    def _conflict(self, key: str) -> None:
        with self._lock:
            self.progress.conflicts.append(self._recipe.address(key))

    def _problem(self, key: str, reason: str) -> None:
        with self._lock:
            self.progress.refused += 1
            if len(self.progress.problems) < FEW:
                self.progress.problems.append(f"user {key}: {reason}")
            if (
                self.progress.refused >= FEW
                and not self.progress.created + self.progress.updated + self.progress.removed
            ):
                raise KratosError(f"{self._kratos.url} refuses every user: {'; '.join(self.progress.problems[:3])}")

    # --- creating ---

    def _generator(self) -> Inventor:
        if self._inventor is None:
            raise KratosError("users can't be created or updated without a generator")
        return self._inventor

    def _body(self, key: str) -> dict[str, Any]:
        made = self._generator().identity(key, self._hash_of(key) if self._recipe.has_password(key) else "")
        body = self._seal.sealed(made)
        if self._kratos.knows_external_id():
            body["external_id"] = self._external_id(key)
        return body

    def _external_id(self, key: str) -> str:
        return f"{MARK}-{self._recipe.local_part(key)}"

    def _create(self, keys: Sequence[str]) -> None:
        self._send({key: self._body(key) for key in keys})

    def _send(self, bodies: dict[str, dict[str, Any]]) -> None:
        """Create users. If a request gets no response, look up whether it was carried out before trying again."""
        pauses = self._kratos.pauses()
        while bodies:
            try:
                answers = self._kratos.create(list(bodies.values()))
            except RefusedError as error:
                return self._send_halves(bodies, error)
            except UnansweredError as error:
                pauses.wait(error)
                # A batch is one transaction, so one of its users tells whether all of them are there.
                if error.perhaps_done and self._existing_id(next(iter(bodies))):
                    return self._leave_unclear(bodies)
            else:
                bodies = self._record_batch(bodies, answers)
        return None

    def _send_halves(self, bodies: dict[str, dict[str, Any]], error: RefusedError) -> None:
        """Send a refused batch again in halves, to find the users that the server refuses."""
        keys = list(bodies)
        if error.status in (401, 403):
            raise error
        if len(keys) == 1:
            return self._problem(keys[0], error.reason)
        middle = len(keys) // 2
        self._send({key: bodies[key] for key in keys[:middle]})
        return self._send({key: bodies[key] for key in keys[middle:]})

    def _record_batch(
        self, bodies: Mapping[str, dict[str, Any]], answers: Sequence[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Record the result for each user of a batch; return the users to send again.

        If Kratos 1.3 refuses one user because of a conflict, it creates none, but reports the others as created.
        """
        made, others = {}, []
        for key, answer in zip(bodies, answers, strict=True):
            if answer.get("action") == "create" and answer.get("identity"):
                made[key] = str(answer["identity"])
            else:
                others.append((key, answer.get("error") or {}))
        ids = list(made.values())
        there = {each["id"] for page in self._kratos.by_id(ids) for each in page} if others else set(ids)
        self._record_created({key: each for key, each in made.items() if each in there})
        conflicts = [key for key, error in others if error.get("code") == 409]
        if len(conflicts) > FEW:
            self._leave_unclear(conflicts)
        for key, error in others:
            if error.get("code") != 409:
                self._create_alone(key, bodies[key], said(error))
            elif len(conflicts) <= FEW:
                self._resolve_conflict(key)
        return {key: bodies[key] for key, each in made.items() if each not in there}

    def _create_alone(self, key: str, body: Mapping[str, Any], reason: str) -> None:
        """Create one refused user alone, because only then does the server give a useful reason; only the first few."""
        if len(self.progress.problems) >= FEW:
            return self._problem(key, reason)
        try:
            # If the response to a try is lost, the next one finds a conflict with the user itself.
            self._record_created({key: str(self._kratos.retried(lambda: self._kratos.create_one(body))["id"])})
        except RefusedError as error:
            if error.status == 409:
                return self._resolve_conflict(key)
            self._problem(key, error.reason)
        return None

    def _resolve_conflict(self, key: str) -> None:
        """Find out which identity has the address of a user that the server says exists."""
        found = self._holders(key)
        mine = self._id_among(key, found)
        if mine:
            self._record_created({key: mine}, now=False)
        elif found:
            self._conflict(key)
        else:
            self._leave_unclear([key])

    def _leave_unclear(self, keys: Iterable[str]) -> None:
        """Leave it to one listing at the end, which costs a busy server less than a request for each user."""
        with self._lock:
            self.progress.unclear += keys

    def _holders(self, key: str) -> list[Identity]:
        if self._kratos.knows_external_id() and (found := self._kratos.by_external_id(self._external_id(key))):
            return found
        return self._kratos.who_logs_in_as(self._generator().login(key))

    def _existing_id(self, key: str) -> str:
        """Return the id of a user that exists already, or an empty string."""
        return self._id_among(key, self._holders(key))

    def _id_among(self, key: str, found: Iterable[Identity]) -> str:
        for identity in found:
            if self._key_of(identity) == key:
                return str(identity["id"])
        return ""

    def _key_of(self, identity: Identity) -> str:
        """Return the key of the wanted user that an identity proves to be, or an empty string."""
        mark = mark_of(identity, self._recipe.set)
        if mark is None or self._seal.proof(identity, mark) == UNPROVEN or not is_wanted(self._recipe, mark):
            return ""
        return key_of(mark)

    def _resolve_unclear(self) -> None:
        """Find the unclear users in a listing of all identities, and send those that are not there once more."""
        left = self._not_listed()
        for start in range(0, len(left), self._batch):
            self._send({key: self._body(key) for key in left[start : start + self._batch]})
        for key in self._not_listed():
            self._problem(key, "Kratos says that this identity exists, but doesn't list it")

    def _not_listed(self) -> list[str]:
        """Record which unclear users a listing shows, created or as conflicts; return the others."""
        unclear, self.progress.unclear = dict.fromkeys(self.progress.unclear), []
        for page in self._kratos.everybody(self._connections) if unclear else ():
            for identity in page:
                mine = self._key_of(identity)
                for key in [mine] if mine else dict(addresses_of(self._recipe, identity)):
                    if key not in unclear:
                        continue
                    del unclear[key]
                    if mine:
                        self._record_created({key: str(identity["id"])}, now=False)
                    else:
                        self._conflict(key)
        return list(unclear)

    # --- updating and removing ---

    def _update(self, rows: Sequence[Row]) -> None:
        for row in rows:
            body = self._body(row.key)
            try:
                self._kratos.retried(lambda body=body, row=row: replace_user(self._kratos, self._seal, row.id, body))  # type: ignore[misc]
            except RefusedError as error:
                if error.status == 404:
                    # Removed since the comparison.
                    self._ledger.remove([row.id])
                    self._send({row.key: body})
                elif error.status == 409:
                    self._conflict(row.key)
                else:
                    self._problem(row.key, error.reason)
                continue
            self._record({row.key: row.id}, self._kratos.now())
            with self._lock:
                self.progress.updated += 1

    def _remove(self, rows: Sequence[Row]) -> None:
        for row in rows:
            try:
                self._kratos.retried(lambda row=row: self._kratos.delete(row.id))  # type: ignore[misc]
            except RefusedError as error:
                if error.status in (401, 403):
                    raise
                self._problem(row.key, f"not removed: {error.reason}")
                continue
            self._ledger.remove([row.id])
            with self._lock:
                self.progress.removed += 1
