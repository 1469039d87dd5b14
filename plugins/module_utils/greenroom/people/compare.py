# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compares the identities in Ory Kratos with a recipe, and notes in the ledger who is current, outdated or extra.

Memory does not grow with the number of users: one bit for each, and the ledger's file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .identities import CURRENT, EXTRA, OUTDATED, addresses_of, is_leftover, is_wanted, key_of, mark_of
from .kratos import Kratos
from .kratos_client import Identity
from .ledger import Ledger, Row
from .recipe.recipe import Fingerprints, Recipe

SMALL = 20_000
"""Up to this number of identities, list all of them, otherwise only those with the set's addresses."""


@dataclass
class Found:
    """How many users a comparison found. `conflicts` are addresses that other identities have.

    `leftovers` are those among `extra` that only checks used.
    """

    current: int = 0
    outdated: int = 0
    extra: int = 0
    leftovers: int = 0
    missing: int = 0
    conflicts: list[str] = field(default_factory=list)
    news: bool = False


class Look:
    """A comparison of the server with a recipe, noted in the ledger.

    With `fingerprints` None, no users are wanted. `leftovers` are the beginnings of addresses that only checks use.
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
        self._left_over: set[str] = set()
        self.news = False

    def at(self, kratos: Kratos, connections: int, searchable: bool) -> Found:
        """Compare; `searchable` says whether users of the schema log in with their addresses."""
        total = kratos.total()
        everybody = self._ledger.is_new or not searchable
        if everybody or (total is not None and total <= max(SMALL, 2 * self._ledger.count())):
            for page in kratos.everybody(connections):
                self._take(page)
        else:
            for beginning in (self._recipe.prefix, *self._leftovers):
                for page in kratos.starting_with(beginning):
                    self._take(page)
            # Users who changed their address since, and users who don't log in with it.
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
            leftovers=len(self._left_over),
            missing=missing - len(conflicts) if self._fingerprints else 0,
            conflicts=conflicts,
            news=self.news,
        )

    def missing(self) -> Iterator[tuple[int, int, str]]:
        """Yield the users to create, in the ledger's form: first number, last number, name of a persona."""
        for key in self._taken:
            self._note(key)
        for persona in self._recipe.personas:
            if persona.name not in self._personas:
                yield 0, 0, persona.name
        for first, last in self._gaps():
            yield first, last, ""

    def _gaps(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of numbers without a user."""
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
                self._left_over.add(identity["id"])
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
