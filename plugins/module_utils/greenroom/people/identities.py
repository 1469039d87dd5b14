# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Synthetic people in Ory Kratos: who of a recipe is there, who is missing, and how that is put right.

What was made here carries a mark in `metadata_admin`, and nothing without that mark is ever changed or removed, but for
leftovers: who signed up with an address that only checks use.
Memory does not grow with the number of people: one bit for each, and the ledger's file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import kratos as server
from . import ledger as memory
from .kratos import Identity, Kratos, KratosError, RefusedError, UnansweredError
from .ledger import Ledger, Row
from .people import MARK, Fingerprints, Inventor, Recipe

BATCH = 500
"""People created by one request."""
FEW = 20
"""People updated or removed in a row by one thread; also how many conflicts and problems are told by name."""
SMALL = 20_000
"""Identities that are listed all, rather than those with the set's addresses only."""

CURRENT, OUTDATED, EXTRA = "current", "outdated", "extra"


@dataclass
class Found:
    """What a look at the server showed, as numbers of people; `conflicts` are addresses that others have."""

    current: int = 0
    outdated: int = 0
    extra: int = 0
    missing: int = 0
    conflicts: list[str] = field(default_factory=list)
    news: bool = False


class Look:
    """A look at who is there, noted in the ledger. With `fingerprints` None nobody is wanted.

    `leftovers` are how addresses begin that only checks use.
    """

    def __init__(
        self, recipe: Recipe, fingerprints: Fingerprints | None, ledger: Ledger, leftovers: Sequence[str] = ()
    ) -> None:
        self._recipe = recipe
        self._leftovers = tuple(leftovers)
        self._fingerprints = fingerprints
        self._ledger = ledger
        self._numbers = bytearray(recipe.count // 8 + 1)
        self._personas: set[str] = set()
        self._taken: dict[str, str] = {}
        self.news = False

    def at(self, kratos: Kratos, connections: int, searchable: bool) -> Found:
        """Look; `searchable` says that the addresses of a schema's people are what they log in with."""
        total = kratos.total()
        everybody = self._ledger.is_new or not searchable
        if everybody or (total is not None and total <= max(SMALL, 2 * self._ledger.count())):
            for page in kratos.everybody(connections):
                self._take(page)
        else:
            for beginning in (self._recipe.prefix, *self._leftovers):
                for page in kratos.starting_with(beginning):
                    self._take(page)
            # Those who changed their address since, and those who don't log in with it.
            for page in kratos.by_id(list(self._ledger.unseen())):
                self._take(page)
        self.news |= self._ledger.forget_unseen() > 0
        missing = (len(self._recipe.personas) - len(self._personas)) + sum(
            last - first + 1 for first, last in self._gaps()
        )
        conflicts = [address for key, address in sorted(self._taken.items()) if not self._has(key)]
        return Found(
            current=self._ledger.count(CURRENT),
            outdated=self._ledger.count(OUTDATED),
            extra=self._ledger.count(EXTRA),
            missing=missing - len(conflicts) if self._fingerprints else 0,
            conflicts=conflicts,
            news=self.news,
        )

    def missing(self) -> Iterator[tuple[int, int, str]]:
        """Yield who is to be created, in the ledger's form."""
        for key in self._taken:
            self._note(key)
        for persona in self._recipe.personas:
            if persona.name not in self._personas:
                yield 0, 0, persona.name
        for first, last in self._gaps():
            yield first, last, ""

    def _gaps(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of numbers that nobody has."""
        start = 0
        for number in range(1, self._recipe.count + 1):
            if self._numbers[number >> 3] >> (number & 7) & 1:
                if start:
                    yield start, number - 1
                start = 0
            elif not start:
                start = number
        if start:
            yield start, self._recipe.count

    def _has(self, key: str) -> bool:
        return key in self._personas or (key.isdecimal() and bool(self._numbers[int(key) >> 3] >> (int(key) & 7) & 1))

    def _note(self, key: str) -> None:
        if key.isdecimal():
            self._numbers[int(key) >> 3] |= 1 << (int(key) & 7)
        else:
            self._personas.add(key)

    def _take(self, page: Iterable[Identity]) -> None:
        rows = []
        for identity in page:
            mark = mark_of(identity, self._recipe.set)
            if mark is not None:
                rows.append(self._row(identity["id"], mark))
            elif is_leftover(identity, self._leftovers, self._recipe.domain):
                rows.append(Row(identity["id"], "", "left over", EXTRA))
            elif self._fingerprints:
                self._taken.update(addresses_of(self._recipe, identity))
        self.news |= self._ledger.saw(rows)

    def _row(self, identity: str, mark: Mapping[str, Any]) -> Row:
        key, seed = key_of(mark), str(mark.get("seed"))
        if self._fingerprints is None or not is_wanted(self._recipe, mark) or self._has(key):
            return Row(identity, seed, key, EXTRA)
        self._note(key)
        same = seed == self._recipe.seed and mark.get("recipe") == self._fingerprints.of(key)
        return Row(identity, seed, key, CURRENT if same else OUTDATED)


def mark_of(identity: Identity, people_set: str) -> Mapping[str, Any] | None:
    """Return the mark of an identity that belongs to the set, None for any other identity."""
    metadata = identity.get("metadata_admin")
    mark = metadata.get(MARK) if isinstance(metadata, dict) else None
    return mark if isinstance(mark, dict) and mark.get("set") == people_set else None


def is_leftover(identity: Identity, beginnings: tuple[str, ...], domain: str) -> bool:
    """Return whether somebody without any mark has addresses that begin so, in the domain, and no other."""
    addresses = [text.lower() for text in _texts(identity) if "@" in text]
    marked = MARK in (identity.get("metadata_admin") or {})
    ending = f"@{domain}"
    fits = all(address.startswith(beginnings) and address.endswith(ending) for address in addresses)
    return bool(addresses) and fits and not marked


def key_of(mark: Mapping[str, Any]) -> str:
    """Return whom a mark names; marks had an `index` before there were personas."""
    return str(mark.get("key", mark.get("index")))


def is_wanted(recipe: Recipe, mark: Mapping[str, Any]) -> bool:
    """Return whether the recipe has a person with this mark. A persona stays the same one under another seed."""
    key = key_of(mark)
    return key in recipe and (mark.get("seed") == recipe.seed or not key.isdecimal())


def addresses_of(recipe: Recipe, identity: Identity) -> Iterator[tuple[str, str]]:
    """Yield those of the recipe's people, as key and address, whose address an identity occupies."""
    ending = f"@{recipe.domain}"
    for text in _texts(identity):
        address = text.lower()
        if address.startswith(recipe.prefix) and address.endswith(ending):
            name = address[len(recipe.prefix) : -len(ending)]
            for key in (name, name.partition("-")[0]):
                if key in recipe and recipe.address(key) == address:
                    yield key, address


def _texts(identity: Identity) -> Iterator[str]:
    """Yield the texts of an identity that may be addresses: traits, addresses, and what it logs in with."""
    pending: list[Any] = [identity.get("traits")]
    for kind in ("verifiable_addresses", "recovery_addresses"):
        pending += [each.get("value") for each in identity.get(kind) or []]
    for credential in (identity.get("credentials") or {}).values():
        pending += credential.get("identifiers") or []
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            pending += each.values()
        elif isinstance(each, list):
            pending += each


def logs_in_by_address(schema: Any) -> bool:
    """Return whether an address is what people of an identity schema log in with."""
    if isinstance(schema, dict):
        kratos = schema.get("ory.sh/kratos")
        password = kratos.get("credentials", {}).get("password", {}) if isinstance(kratos, dict) else {}
        if password.get("identifier") and schema.get("format") == "email":
            return True
        return any(logs_in_by_address(each) for each in schema.values())
    return isinstance(schema, list) and any(logs_in_by_address(each) for each in schema)


@dataclass
class Progress:
    """What an operation has done so far and knows; kept in the ledger between two slices."""

    todo: int = 0
    created: int = 0
    updated: int = 0
    removed: int = 0
    seconds: float = 0
    conflicts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    refused: int = 0
    unclear: list[str] = field(default_factory=list)
    behind: dict[str, str] = field(default_factory=dict)
    news: bool = False

    @property
    def done(self) -> int:
        """How many people are done with, well or not."""
        return self.created + self.updated + self.removed + self.refused + len(self.conflicts) + len(self.unclear)

    @property
    def rate(self) -> float:
        """People per second of work."""
        return (self.created + self.updated + self.removed) / self.seconds if self.seconds else 0


class Work:
    """Creates, updates and removes until the ledger has nobody left to deal with."""

    def __init__(
        self,
        kratos: Kratos,
        recipe: Recipe,
        ledger: Ledger,
        progress: Progress,
        *,
        connections: int,
        inventor: Inventor | None = None,
        hash_of: Callable[[str], str] = lambda key: "",
    ) -> None:
        """Without an `inventor` nobody is created or updated. `hash_of` gives a person's password hash."""
        self._kratos = kratos
        self._recipe = recipe
        self._ledger = ledger
        self._inventor = inventor
        self._hash_of = hash_of
        self._connections = connections
        self.progress = progress
        self._lock = threading.RLock()
        self._failure: Exception | None = None
        # Few people are divided among the connections.
        self._batch = max(1, min(BATCH, -(-progress.todo // connections)))

    def go(self, seconds: float, statuses: Sequence[str], create: bool) -> bool:
        """Work for about so long: remove or update people of these statuses, create; returns whether all is done."""
        started = time.monotonic()
        stop = started + seconds
        if self._inventor is not None:
            # Asked before the threads would all ask.
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
        if over and self.progress.unclear:
            self._clear_up()
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

    # --- what came of somebody ---

    def _made(self, ids: Mapping[str, str]) -> None:
        """Note who was created: key to id."""
        with self._lock:
            self._ledger.put(Row(each, self._recipe.seed, key, CURRENT) for key, each in ids.items())
            self.progress.created += len(ids)

    def _conflict(self, key: str) -> None:
        with self._lock:
            self.progress.conflicts.append(self._recipe.address(key))

    def _problem(self, key: str, reason: str) -> None:
        with self._lock:
            self.progress.refused += 1
            if len(self.progress.problems) < FEW:
                self.progress.problems.append(f"person {key}: {reason}")
            if (
                self.progress.refused >= FEW
                and not self.progress.created + self.progress.updated + self.progress.removed
            ):
                raise KratosError(f"{self._kratos.url} refuses all of it: {'; '.join(self.progress.problems[:3])}")

    # --- creating ---

    def _generator(self) -> Inventor:
        if self._inventor is None:
            raise KratosError("nobody can be invented without a generator")
        return self._inventor

    def _body(self, key: str) -> dict[str, Any]:
        body = self._generator().identity(key, self._hash_of(key) if self._recipe.has_password(key) else "")
        if self._kratos.knows_external_id():
            body["external_id"] = self._external_id(key)
        return body

    def _external_id(self, key: str) -> str:
        return f"{MARK}-{self._recipe.local_part(key)}"

    def _create(self, keys: Sequence[str]) -> None:
        self._send({key: self._body(key) for key in keys})

    def _send(self, bodies: dict[str, dict[str, Any]]) -> None:
        """Create people; what came of a request without an answer is looked up, not guessed."""
        pauses = self._kratos.pauses()
        while bodies:
            try:
                answers = self._kratos.create(list(bodies.values()))
            except RefusedError as error:
                return self._divide(bodies, error)
            except UnansweredError as error:
                pauses.wait(error)
                if error.sent:
                    there = {key: found for key in bodies if (found := self._mine(key))}
                    self._made(there)
                    bodies = {key: body for key, body in bodies.items() if key not in there}
            else:
                return self._take_in(bodies, answers)
        return None

    def _divide(self, bodies: dict[str, dict[str, Any]], error: RefusedError) -> None:
        """Find out whom the server refused a whole batch for."""
        keys = list(bodies)
        if error.status in (401, 403):
            raise error
        if len(keys) == 1:
            return self._problem(keys[0], error.reason)
        middle = len(keys) // 2
        self._send({key: bodies[key] for key in keys[:middle]})
        return self._send({key: bodies[key] for key in keys[middle:]})

    def _take_in(self, bodies: Mapping[str, dict[str, Any]], answers: Sequence[Mapping[str, Any]]) -> None:
        """Note what came of each person of a batch."""
        made, others = {}, []
        for key, answer in zip(bodies, answers, strict=True):
            if answer.get("action") == "create" and answer.get("identity"):
                made[key] = str(answer["identity"])
            else:
                others.append((key, answer.get("error") or {}))
        self._made(made)
        for key, error in others:
            if error.get("code") == 409:
                self._taken(key)
            else:
                self._refused(key, bodies[key], server.said(error))

    def _refused(self, key: str, body: Mapping[str, Any], reason: str) -> None:
        """Ask for one person alone, for then the server gives a reason worth the name, as long as there are few."""
        if len(self.progress.problems) >= FEW:
            return self._problem(key, reason)
        try:
            self._made({key: str(self._kratos.create_one(body)["id"])})
        except RefusedError as error:
            if error.status == 409:
                return self._taken(key)
            self._problem(key, error.reason)
        except UnansweredError:
            with self._lock:
                self.progress.unclear.append(key)
        return None

    def _taken(self, key: str) -> None:
        """Find out who has the address of a person whom the server says to exist."""
        found = self._holders(key)
        mine = self._mine_of(key, found)
        if mine:
            self._made({key: mine})
        elif found:
            self._conflict(key)
        else:
            with self._lock:
                self.progress.unclear.append(key)

    def _holders(self, key: str) -> list[Identity]:
        if self._kratos.knows_external_id() and (found := self._kratos.by_external_id(self._external_id(key))):
            return found
        return self._kratos.who_logs_in_as(self._generator().login(key))

    def _mine(self, key: str) -> str:
        """Return the id of a person who is there already, empty when nobody is."""
        return self._mine_of(key, self._holders(key))

    def _mine_of(self, key: str, found: Iterable[Identity]) -> str:
        for identity in found:
            mark = mark_of(identity, self._recipe.set)
            if mark is not None and key_of(mark) == key and is_wanted(self._recipe, mark):
                return str(identity["id"])
        return ""

    def _clear_up(self) -> None:
        """Find out, by a look at everybody, who has the addresses that no look-up shows."""
        unclear, self.progress.unclear = set(self.progress.unclear), []
        for page in self._kratos.everybody(self._connections):
            for identity in page:
                mark = mark_of(identity, self._recipe.set)
                if mark is None:
                    for key, _address in addresses_of(self._recipe, identity):
                        if key in unclear:
                            unclear.discard(key)
                            self._conflict(key)
                elif key_of(mark) in unclear and is_wanted(self._recipe, mark):
                    unclear.discard(key_of(mark))
                    self._made({key_of(mark): str(identity["id"])})
        for key in sorted(unclear):
            self._problem(key, "the server says that somebody like this exists, and shows nobody")

    # --- updating and removing ---

    def _update(self, rows: Sequence[Row]) -> None:
        for row in rows:
            body = self._body(row.key)
            try:
                self._kratos.patiently(lambda body=body, row=row: self._put(row.id, body))  # type: ignore[misc]
            except RefusedError as error:
                if error.status == 404:
                    # Gone since we looked.
                    self._ledger.remove([row.id])
                    self._send({row.key: body})
                elif error.status == 409:
                    self._conflict(row.key)
                else:
                    self._problem(row.key, error.reason)
                continue
            self._ledger.put([Row(row.id, self._recipe.seed, row.key, CURRENT)])
            with self._lock:
                self.progress.updated += 1

    def _put(self, identity: str, body: Mapping[str, Any]) -> None:
        """Update somebody. The first request can't tell which addresses are verified, so the mark is set in the end."""
        metadata = body["metadata_admin"]
        unfinished = {**metadata, MARK: {**metadata[MARK], "recipe": ""}}
        there = self._kratos.update(identity, {**body, "metadata_admin": unfinished})
        wanted = {each["value"].lower(): each for each in body.get("verifiable_addresses") or []}
        changes = [{"op": "replace", "path": f"/metadata_admin/{MARK}/recipe", "value": metadata[MARK]["recipe"]}]
        for number, address in enumerate(there.get("verifiable_addresses") or []):
            aim = wanted.get(str(address.get("value")).lower())
            if aim is not None and bool(address.get("verified")) != aim["verified"]:
                path = f"/verifiable_addresses/{number}"
                changes += [
                    {"op": "replace", "path": f"{path}/{key}", "value": aim[key]} for key in ("verified", "status")
                ]
        self._kratos.patch(identity, changes)

    def _remove(self, rows: Sequence[Row]) -> None:
        for row in rows:
            try:
                self._kratos.patiently(lambda row=row: self._kratos.delete(row.id))  # type: ignore[misc]
            except RefusedError as error:
                if error.status in (401, 403):
                    raise
                self._problem(row.key, f"not removed: {error.reason}")
                continue
            self._ledger.remove([row.id])
            with self._lock:
                self.progress.removed += 1


def write_people(ledger: Ledger, recipe: Recipe, path: str, write: bool) -> tuple[bool, str]:
    """Bring the people file up to date; returns whether that is (to be) a change, and the SHA-256 of the content."""
    there = memory.digest(path)
    if not ledger.count(CURRENT) + ledger.count(OUTDATED):
        if there and write:
            memory.forget(path)
        return bool(there), ""
    wanted = memory.digest_of(ledger.lines(recipe.address))
    if wanted != there and write:
        memory.write_lines(path, ledger.lines(recipe.address))
    return wanted != there, wanted
