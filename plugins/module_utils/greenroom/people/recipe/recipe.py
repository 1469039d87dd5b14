# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The synthetic users of a set: their keys, addresses and fingerprints."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from ...common.names import suggestion
from .personas import Persona, UsersError, is_persona_name, personas_of

MARK = "greenroom"
"""The key in `metadata_admin` that marks identities created by Greenroom."""
NO_MAIL = ("invalid", "test", "example", "localhost", "example.com", "example.net", "example.org")
"""Domains that never receive mail (RFC 2606, RFC 6761)."""
DRAFT = 3
"""Increase this if a change of the code generates other users from the same recipe."""

_SET = re.compile(r"(?!.*--)[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\Z")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z")
_NUMBER = re.compile(r"[1-9][0-9]{0,11}\Z", re.ASCII)
_LOCALE = re.compile(r"[a-z]{2,3}_[A-Z]{2}\Z")
_OVERRIDE = ("provider", "args", "value", "text", "share")


def is_key(key: object) -> bool:
    """Return whether this is a valid key: a number from 1, or a persona's name."""
    text = str(key)
    return _NUMBER.match(text) is not None or is_persona_name(text)


@dataclass(frozen=True)
class OtherSet:
    """What is known about a set with one seed on the same server: its name, its seed, the names of its personas."""

    name: str
    seed: str
    personas: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A set of `count` numbered users and `personas`. The same recipe generates the same users everywhere.

    `traits` maps a trait's dotted path to the name of a Faker provider, to {provider, args}, or to {value}. With
    {share}, only that share of the users has the trait. `verified` is the share of users with verified addresses.
    `password` identifies how passwords are made, `generator` the generator's version (`generator_version()`). Both are
    only compared.
    """

    set: str
    seed: str
    count: int
    domain: str
    schema_id: str = "default"
    locales: tuple[str, ...] = ("en_US",)
    traits: Mapping[str, Any] = field(default_factory=dict)
    verified: float = 1.0
    personas: tuple[Persona, ...] = ()
    metadata_public: Mapping[str, Any] = field(default_factory=dict)
    metadata_admin: Mapping[str, Any] = field(default_factory=dict)
    password: str = "shared"
    generator: str = ""

    def __post_init__(self) -> None:
        """Reject addresses that could belong to a real person, and invalid values. Raises UsersError."""
        if not _SET.match(self.set):
            raise UsersError(
                f"'{self.set}' can't be a set's name: use up to 32 lowercase letters, digits, single dashes"
            )
        if self.count < 0:
            raise UsersError(f"count must be 0 or more, not {self.count}")
        if not _DOMAIN.match(self.domain):
            raise UsersError(f"'{self.domain}' is not a domain in lowercase letters")
        if not any(self.domain == safe or self.domain.endswith(f".{safe}") for safe in NO_MAIL):
            raise UsersError(
                f"'{self.domain}' could receive mail; use a domain that ends with one of {', '.join(NO_MAIL)}"
            )
        for locale in self.locales or ("",):
            if not _LOCALE.match(locale):
                raise UsersError(f"'{locale}' is not a locale; write it like en_US")
        if not 0 <= self.verified <= 1:
            raise UsersError(f"verified must be from 0 to 1, not {self.verified}")
        for metadata in (self.metadata_admin, *(persona.metadata_admin for persona in self.personas)):
            if MARK in metadata:
                raise UsersError(f"metadata_admin can't contain '{MARK}': Greenroom keeps its mark there")
        for traits in (self.traits, *(persona.traits for persona in self.personas)):
            for path, given in traits.items():
                _check_override(path, given)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Recipe:
        """Return a recipe from plain data. None stands for the default. Raises UsersError."""
        given = {key: value for key, value in values.items() if value is not None}
        known = [each.name for each in fields(cls)]
        for key in given:
            if key not in known:
                raise UsersError(f"unknown recipe key '{key}'{suggestion(key, known)}")
        given["personas"] = personas_of(given.get("personas", ()))
        if "locales" in given:
            given["locales"] = tuple(given["locales"])
        return cls(**given)

    def plain(self) -> dict[str, Any]:
        """Return the recipe as plain data for `of`."""
        return {**asdict(self), "locales": list(self.locales), "personas": [asdict(each) for each in self.personas]}

    @property
    def prefix(self) -> str:
        """The prefix of all addresses of the set with any seed. Sets with longer names may have it, too."""
        return f"{self.set}-"

    @property
    def size(self) -> int:
        """The number of users, including personas."""
        return self.count + len(self.personas)

    def keys(self) -> Iterator[str]:
        """Yield the keys: names of personas, then numbers from 1."""
        yield from (persona.name for persona in self.personas)
        yield from map(str, range(1, self.count + 1))

    def __contains__(self, key: object) -> bool:
        """Return whether the set has a user with this key."""
        text = str(key)
        return int(text) <= self.count if _NUMBER.match(text) else self.persona(text) is not None

    def persona(self, key: str | int) -> Persona | None:
        """Return the persona with this name, or None for a numbered user."""
        return self._by_name.get(str(key))

    @cached_property
    def _by_name(self) -> dict[str, Persona]:
        return {persona.name: persona for persona in self.personas}

    def local_part(self, key: str | int) -> str:
        """Return the local part of a user's address, which no user of any other set has."""
        if not str(key)[:1].isdecimal():
            return f"{self._beginning}{key}"
        digest = hashlib.sha256(f"{self.set}\0{self.seed}\0{key}".encode()).hexdigest()
        return f"{self._beginning}{key}-{digest[:8]}"

    @property
    def _beginning(self) -> str:
        # Two dashes end a set's name that has dashes itself: people-vip--admin is not the vip-admin of people.
        return f"{self.set}--" if "-" in self.set else f"{self.set}-"

    def address(self, key: str | int) -> str:
        """Return a user's address."""
        return f"{self.local_part(key)}@{self.domain}"

    def key_at(self, address: str) -> str | None:
        """Return the key of the user with this address, or None if the set has no such user."""
        local = address.removesuffix(f"@{self.domain}")
        if not local.startswith(self._beginning):
            return None
        name = local.removeprefix(self._beginning)
        keys = (key for key in (name, name.partition("-")[0]) if key in self)
        return next((key for key in keys if self.address(key) == address), None)

    def has_password(self, key: str | int) -> bool:
        """Return whether a user has a password."""
        persona = self.persona(key)
        return persona is None or persona.password

    def schema_of(self, key: str | int) -> str:
        """Return the id of a user's identity schema."""
        persona = self.persona(key)
        return (persona.schema_id if persona else "") or self.schema_id

    @property
    def schema_ids(self) -> list[str]:
        """The ids of all identity schemas of the set; the first one is that of the numbered users."""
        return list(dict.fromkeys((self.schema_id, *(self.schema_of(persona.name) for persona in self.personas))))

    @property
    def every_locale(self) -> list[str]:
        """The locales of numbered users and of personas."""
        return [*self.locales, *(persona.locale for persona in self.personas if persona.locale)]

    def under(self, schema_id: str) -> Recipe:
        """Return the recipe of the users with this identity schema. The set's traits fit only the set's own schema."""
        kept = tuple(persona for persona in self.personas if self.schema_of(persona.name) == schema_id)
        if schema_id == self.schema_id:
            return replace(self, personas=kept)
        return replace(self, personas=kept, schema_id=schema_id, count=0, traits={})

    def fingerprints(
        self, schema: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Fingerprints:
        """Return the users' fingerprints; a changed one means an outdated user.

        `schema` is the set's identity schema in Kratos, `others` are those of personas with another one, by id.
        """
        return Fingerprints(self, schema, others)

    def fingerprint(self, schema: Mapping[str, Any], key: str | int = 1) -> str:
        """Return one user's fingerprint. For many users, call `fingerprints`."""
        return self.fingerprints(schema).of(key)


class Fingerprints:
    """16 hexadecimal digits for each user: one value for all numbered users, another for each persona.

    It does not depend on the count, and a changed persona doesn't affect other users.
    """

    def __init__(
        self, recipe: Recipe, schema: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        shared = {key: value for key, value in recipe.plain().items() if key not in ("count", "personas")}
        self._numbered = _digest([DRAFT, shared, schema])
        self._personas = {
            persona.name: _digest(
                [self._numbered, {**asdict(persona), "needs": None}, (others or {}).get(persona.schema_id)]
            )
            for persona in recipe.personas
        }

    def of(self, key: str | int) -> str:
        """Return the fingerprint of a user."""
        return self._personas.get(str(key), self._numbered)


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_override(path: str, given: Any) -> None:
    """Reject invalid sources of a trait. Only the generator knows whether the provider exists."""
    if isinstance(given, str):
        given = {"provider": given}
    if not isinstance(given, Mapping):
        raise UsersError(f"{path}: write the name of a provider, {{provider, args}} or {{value}}, not {given!r}")
    for key in given:
        if key not in _OVERRIDE:
            raise UsersError(f"{path}: unknown key '{key}'{suggestion(str(key), _OVERRIDE)}")
    share = given.get("share", 1)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise UsersError(f"{path}: share must be a number from 0 to 1, not {share!r}")
    if len(given.keys() & {"provider", "value", "text"}) > 1:
        raise UsersError(f"{path}: set either provider or value, not both")
    if not isinstance(given.get("text", ""), str):
        raise UsersError(f"{path}: text must be text, not {given['text']!r}")
    if "args" in given and ("provider" not in given or not isinstance(given["args"], (Mapping, list, tuple))):
        raise UsersError(f"{path}: args must be a list or a mapping, and need a provider")
