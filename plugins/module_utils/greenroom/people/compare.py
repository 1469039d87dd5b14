# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compares the identities in Ory Kratos with a recipe, and notes in the ledger who is current, outdated or extra.

An identity with the set's mark, but without proof that it is a user of the set, is left out and reported. Memory does
not grow with the number of users: one bit for each, and the ledger's file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .client import Identity
from .drift import added_credentials, changed_at, other_address, password_hash, salt_of
from .identities import CURRENT, EXTRA, OUTDATED, addresses_of, is_leftover, is_wanted, key_of, mark_of, set_of
from .ledger import Ledger, Row
from .ownership import SIGNED, UNPROVEN, UNSIGNED, Seal, is_as_made, logins_of
from .recipe.recipe import Fingerprints, Recipe
from .server import Server

SMALL = 20_000
"""Up to this number of identities, list all of them, otherwise only those with the set's addresses."""
HASHES = 100
"""So many changed password hashes are compared with the password, which takes long. The others count as changed."""


@dataclass(frozen=True)
class Owner:
    """Whose users count as users of the set.

    `seal` proves the set's marks, `adopted` those of other sets. `unsigned` says whether the login in a mark is proof
    enough. `expected` are hashes of users' passwords by ID, with the salts of their changed hashes.
    """

    seal: Seal
    adopted: tuple[Seal, ...] = ()
    unsigned: bool = False
    expected: Mapping[str, str] = field(default_factory=dict)

    def mark_of(self, identity: Identity) -> tuple[Mapping[str, Any] | None, Seal]:
        """Return the mark of an identity and the seal of its set; no mark if it is of no set that counts."""
        for seal in (self.seal, *self.adopted):
            if (mark := mark_of(identity, seal.user_set)) is not None:
                return mark, seal
        return None, self.seal


@dataclass
class Found:
    """How many users a comparison found. `conflicts` are addresses that other identities have.

    `leftovers` are those among `extra` that only checks used, `drifted` those among `outdated` that were changed by
    hand. `unproven` describes identities with the set's mark that nothing proves to be users. `salts` are those of
    changed password hashes by ID, each after seed and key, `others` the numbers of identities with marks of other sets.
    """

    current: int = 0
    outdated: int = 0
    extra: int = 0
    leftovers: int = 0
    missing: int = 0
    drifted: int = 0
    conflicts: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    salts: dict[str, list[str]] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    news: bool = False


class Look:
    """A comparison of the server with a recipe, noted in the ledger.

    With `fingerprints` None, no users are wanted. `leftovers` are the beginnings of addresses that only checks use.
    """

    def __init__(
        self,
        recipe: Recipe,
        fingerprints: Fingerprints | None,
        ledger: Ledger,
        owner: Owner,
        leftovers: Sequence[str] = (),
    ) -> None:
        self._recipe = recipe
        self._owner = owner
        self._leftovers = tuple(leftovers)
        self._fingerprints = fingerprints
        self._ledger = ledger
        self._numbers = bytearray(recipe.count // 8 + 1)
        self._personas: set[str] = set()
        self._taken: dict[str, str] = {}
        self._unproven: dict[str, str] = {}
        self._salts: dict[str, list[str]] = {}
        self._left_over: set[str] = set()
        self._others: Counter[str] = Counter()
        self._drifted = 0
        self.news = False

    def at(self, server: Server, connections: int, searchable: bool) -> Found:
        """Compare; `searchable` says whether users of the schema log in with their addresses."""
        total = server.total()
        everybody = self._ledger.is_new or not searchable
        if everybody or (total is not None and total <= max(SMALL, 2 * self._ledger.count())):
            for page in server.everybody(connections):
                self._take(server, page)
        else:
            others = [f"{seal.user_set}-" for seal in self._owner.adopted]
            for beginning in (self._recipe.prefix, *others, *self._leftovers):
                for page in server.starting_with(beginning):
                    self._take(server, page)
            # Users who changed their address since, and users who don't log in with it.
            for page in server.by_id(list(self._ledger.unseen())):
                self._take(server, page)
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
            drifted=self._drifted,
            # An address is reported once.
            conflicts=[each for each in conflicts if each not in self._unproven.values()],
            unproven=sorted(f"{address} ({identity})" for identity, address in self._unproven.items()),
            salts=self._salts,
            others=dict(sorted(self._others.items())),
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

    def _take(self, server: Server, page: Sequence[Identity]) -> None:
        known = self._ledger.known([each["id"] for each in page])
        rows, suspects = [], {}
        listed = any(each.get("credentials") for each in page)
        for identity in page:
            mark, seal = self._owner.mark_of(identity)
            if mark is not None:
                row = self._owned(identity, mark, seal, known.get(identity["id"]))
                if row is None:
                    self._unproven[identity["id"]] = next(iter(logins_of(identity)), "no address")
                    self._note_taken(identity)
                    continue
                digest, changed = str(mark.get("password") or ""), changed_at(identity)
                if row.status == CURRENT and listed and (changed > row.stamp or bool(digest) > bool(changed)):
                    suspects[row.id] = (row, digest, changed)
                else:
                    rows.append(row)
            elif is_leftover(identity, self._leftovers, self._recipe.domain):
                self._left_over.add(identity["id"])
                rows.append(Row(identity["id"], "", "left over", EXTRA, proven=False))
            else:
                self._others.update(filter(None, [set_of(identity)]))
                self._note_taken(identity)
        if suspects:
            rows += self._with_password(server, suspects)
        self.news |= self._ledger.saw(rows, known)

    def _note_taken(self, identity: Identity) -> None:
        if self._fingerprints:
            self._taken.update(addresses_of(self._recipe, identity))

    def _owned(self, identity: Identity, mark: Mapping[str, Any], seal: Seal, known: Row | None) -> Row | None:
        """Return the row of an identity with a mark; None if nothing proves that it is a user of the set."""
        proof = seal.proof(identity, mark)
        proven = proof == SIGNED or (known is not None and known.proven)
        unsigned = proof == UNSIGNED and (known is not None or self._owner.unsigned or not seal.key)
        if not proven and not unsigned:
            return None
        # If the mark is not the one that the user got, the ledger knows whose it is.
        broken = proof == UNPROVEN
        key, seed = (known.key, known.seed) if broken and known else (key_of(mark), str(mark.get("seed")))
        address = self._recipe.address(key)
        other = "" if proof == SIGNED and mark["login"] == address else other_address(identity, address)
        row = Row(identity["id"], seed, key, EXTRA, proven or not seal.key, known.stamp if known else 0, other)
        wanted = self._fingerprints is not None and is_wanted(self._recipe, {"seed": seed, "key": key})
        if self._fingerprints is None or not wanted or self._has(key):
            return row
        self._note(key)
        same = seed == self._recipe.seed and mark.get("recipe") == self._fingerprints.of(key)
        schema = self._recipe.schema_of(key)
        moved = same and identity.get("schema_id", schema) != schema
        # What personas have besides a password is compared later (`Credentials`).
        added = key.isdecimal() and bool(added_credentials(identity))
        drifted = broken or moved or added or ("content" in mark and not is_as_made(identity, mark))
        sealed = seal == self._owner.seal and (proof == SIGNED or not seal.key)
        self._drifted += drifted
        return row._replace(status=CURRENT if same and sealed and not drifted else OUTDATED)

    def _with_password(self, server: Server, suspects: Mapping[str, tuple[Row, str, float]]) -> Iterator[Row]:
        """Yield the rows of users whose password may have changed, after a comparison of its hash."""
        hashes = {}
        for page in server.by_id(list(suspects), ("password",)):
            hashes.update({each["id"]: password_hash(each) for each in page})
        for identity, (row, digest, stamp) in suspects.items():
            found = hashes.get(identity, "")
            expected = self._owner.expected.get(identity)
            if (found and found == expected) or self._owner.seal.password_digest(found) == digest:
                yield row._replace(stamp=stamp)
                continue
            salt = salt_of(found)
            if salt and self._recipe.has_password(row.key) and len(self._salts) < HASHES:
                self._salts[identity] = [row.seed, row.key, salt]
            self._drifted += 1
            yield row._replace(status=OUTDATED)
