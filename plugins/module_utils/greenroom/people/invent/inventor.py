# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Generate the complete identities of synthetic users for Kratos."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from ...common.names import suggestion
from ..recipe.personas import Persona
from ..recipe.recipe import MARK, Fingerprints, OtherSet, Recipe
from . import phones
from .locales import LocaleFaker
from .overrides import Override
from .person import Person
from .randomness import Stream, salt
from .schema import Schema, TraitError
from .traits import Traits

_ATTEMPTS = 20
"""How often to generate a user's traits again if they break a condition of the schema that generation ignores."""
_SAMPLES = 25
"""Numbered users to generate at the start: an unusable schema fails before any user is created."""
_VERIFIED = salt("verified")
_LOCALE = salt("voice")


class Inventor:
    """Generates the identities of a recipe's users for Kratos' identity schema. Needs the generator.

    A user depends only on the recipe, the schema and the key, not on which other users are generated. `beside` are the
    sets of the server, with which this one may not share phone numbers. Raises UsersError.
    """

    def __init__(
        self,
        recipe: Recipe,
        schema: Mapping[str, Any],
        others: Mapping[str, Mapping[str, Any]] | None = None,
        fingerprints: Fingerprints | None = None,
        *,
        beside: Callable[[], Iterable[OtherSet]] = tuple,
    ) -> None:
        """`others` are the schemas of personas with another one, by id."""
        self._fingerprints = fingerprints or recipe.fingerprints(schema, others)
        by_schema = {
            each: Inventor(recipe.under(each), schema_there, None, self._fingerprints, beside=beside)
            for each, schema_there in (others or {}).items()
        }
        self._others = {
            persona.name: by_schema[persona.schema_id]
            for persona in recipe.personas
            if persona.schema_id not in ("", recipe.schema_id)
        }
        recipe = self._recipe = recipe.under(recipe.schema_id)
        self._personas = {persona.name: persona for persona in recipe.personas}
        self._schema = Schema(schema)
        self._traits = Traits(self._schema)
        # All threads share one stream, so the lock lets one thread generate a user at a time.
        self._stream = Stream()
        self._lock = threading.Lock()
        wanted = (*(recipe.locales or ("en_US",)), *(persona.locale for persona in recipe.personas if persona.locale))
        self._locale_fakers = {locale: LocaleFaker(locale, self._stream) for locale in wanted}
        self._locales = recipe.locales or ("en_US",)
        self._overrides = self._overrides_of(recipe.traits)
        self._persona_overrides = {
            persona.name: {**self._overrides, **self._overrides_of(persona.traits)} for persona in recipe.personas
        }
        self._among = _base(recipe, "")
        self._phones = phones.block(recipe.set, recipe.seed)
        self._check_phones(beside)
        for key in range(1, min(recipe.count, _SAMPLES) + 1):
            self.identity(key)
        for name, persona in self._personas.items():
            try:
                self.identity(name)
            except TraitError as error:
                raise TraitError(f"persona {name}: {error}" if persona.traits else str(error)) from None

    @cached_property
    def _validate(self) -> Callable[[Mapping[str, Any]], None]:
        # Compiled after the traits: an error about a missing trait tells more than one about an unusable schema.
        return self._schema.validator()

    def login(self, key: str | int) -> str:
        """Return the login of a user: an address, or a user name or phone number if the schema says so."""
        if other := self._others.get(str(key)):
            return other.login(key)
        with self._lock:
            return self._traits.login.value(self._person(str(key), 0))

    def identity(self, key: str | int, password_hash: str = "") -> dict[str, Any]:
        """Return the identity of one user for Kratos, validated against the schema. Raises TraitError.

        It has no credentials without a hash, and none for a persona without a password.
        """
        if other := self._others.get(str(key)):
            return other.identity(key, password_hash)
        with self._lock:
            return self._identity(str(key), password_hash)

    def _identity(self, key: str, password_hash: str) -> dict[str, Any]:
        person, traits = self._matching(key)
        recipe, persona = self._recipe, person.persona
        verified = self._verified(person)
        mark = {"set": recipe.set, "seed": recipe.seed, "key": key, "recipe": self._fingerprints.of(key)}
        # Kratos gives a login to one identity only, so this tells whose mark it is.
        mark["login"] = self._traits.login.value(person)
        public = {**recipe.metadata_public, **(persona.metadata_public if persona else {})}
        identity: dict[str, Any] = {
            "schema_id": recipe.schema_id,
            "state": persona.state if persona else "active",
            "traits": traits,
            "verifiable_addresses": [
                {"value": value, "via": via, "verified": verified, "status": "completed" if verified else "pending"}
                for value, via in dict.fromkeys(person.verifiable)
            ],
            "metadata_admin": {**recipe.metadata_admin, **(persona.metadata_admin if persona else {}), MARK: mark},
        }
        if public:
            identity["metadata_public"] = public
        if password_hash and (persona is None or persona.password):
            identity["credentials"] = {"password": {"config": {"hashed_password": password_hash}}}
        return identity

    def _matching(self, key: str) -> tuple[Person, dict[str, Any]]:
        """Return a user and traits that fit the schema, usually the first attempt."""
        problem: TraitError | None = None
        for attempt in range(_ATTEMPTS):
            person = self._person(key, attempt)
            traits = self._traits.make(person)
            try:
                self._validate(traits)
            except TraitError as error:
                problem = problem or error
            else:
                return person, traits
        raise problem or TraitError("traits: can't generate traits that fit the schema")

    def _person(self, key: str, attempt: int) -> Person:
        recipe, persona = self._recipe, self._personas.get(key)
        number = 0 if persona else int(key)
        return Person(
            _base(recipe, f"{key}\0{attempt}" if attempt else key),
            number,
            self._among,
            recipe.local_part(key),
            recipe.domain,
            phones.personal(recipe.set, key) if persona else phones.numbered(self._phones, number),
            self._stream,
            self._locale_faker(number, persona),
            persona,
            self._persona_overrides[key] if persona else self._overrides,
            self._traits.ages,
        )

    def _locale_faker(self, number: int, persona: Persona | None) -> LocaleFaker:
        if persona:
            return self._locale_fakers[persona.locale or self._locales[0]]
        place = self._stream.place(number, self._among ^ _LOCALE) if len(self._locales) > 1 else 0
        return self._locale_fakers[self._locales[int(place * len(self._locales))]]

    def _verified(self, person: Person) -> bool:
        if person.persona and person.persona.verified is not None:
            return person.persona.verified
        share = self._recipe.verified
        return share == 1 or (share > 0 and person.place(_VERIFIED) < share)

    def _check_phones(self, beside: Callable[[], Iterable[OtherSet]]) -> None:
        """Raise TraitError if two users would get the same unique phone number."""
        phone = next((trait for trait in self._traits.unique if trait.kind == "phone"), None)
        if phone is None:
            return
        recipe = self._recipe
        if recipe.count > phones.CAPACITY:
            raise TraitError(f"{phone.path}: a set has only {phones.CAPACITY} phone numbers; set a lower count")
        numbers: dict[str, str] = {}
        for name in self._personas:
            other = numbers.setdefault(phones.personal(recipe.set, name), name)
            if other != name:
                raise TraitError(f"{phone.path}: the personas {other} and {name} get the same phone number; rename one")
        for known in beside():
            if shared := _shared_phone(recipe, self._phones, numbers, known):
                raise TraitError(
                    f"{phone.path}: {shared} would have the same phone number as a user of the set {known.name} "
                    f"(seed {known.seed}); choose another name or seed for the set {recipe.set}"
                )

    def _overrides_of(self, traits: Mapping[str, Any]) -> dict[str, Override]:
        unique = {each.path for each in self._traits.unique}
        found = {}
        for path, given in traits.items():
            if path not in self._traits.types:
                known = [each for each in self._traits.types if each != "traits"]
                raise TraitError(f"{path}: the identity schema has no such trait{suggestion(path, known)}")
            override = found[path] = Override(path, given)
            if path in unique and override.replaces:
                raise TraitError(f"{path}: can't be set, it is unique for each user and made from set, seed and number")
            override.check(self._locale_fakers)
        return found


def _shared_phone(recipe: Recipe, block: int, numbers: Mapping[str, str], other: OtherSet) -> str:
    """Return which users have the same phone numbers as users of another set, or of another seed."""
    if (other.name, other.seed) != (recipe.set, recipe.seed) and phones.block(other.name, other.seed) == block:
        return "user 1"
    for name in other.personas if other.name != recipe.set else ():
        if found := numbers.get(phones.personal(other.name, name)):
            return f"the persona {found}"
    return ""


def _base(recipe: Recipe, key: str) -> int:
    """Return the 64-bit seed of all random numbers of a user."""
    digest = hashlib.sha256(f"{recipe.set}\0{recipe.seed}\0{key}".encode()).digest()
    return int.from_bytes(digest[8:16], "big")
