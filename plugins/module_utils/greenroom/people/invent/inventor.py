# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What synthetic people are like: complete identities for Kratos."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from ...common.names import suggestion
from ..recipe.personas import Persona
from ..recipe.recipe import MARK, Recipe
from . import phones
from .locales import Voice
from .overrides import Override
from .person import Someone
from .randomness import Stream, salt
from .schema import Schema, TraitError
from .traits import Traits

_TRIES = 20
"""How often traits are made anew that don't fit conditions of the schema which are left to chance."""
_SAMPLES = 25
"""Numbered people who are tried at the start, so that a schema nobody fits is refused before anybody is created."""
_PERSONAS = 1000
"""Telephone numbers that are kept for personas."""
_NUMBERED = phones.CAPACITY - _PERSONAS

_VERIFIED = salt("verified")
_VOICE = salt("voice")


class Inventor:
    """Makes the identities of a recipe's people under Kratos' identity schema; needs the generator.

    A person depends on the recipe, the schema and the key only, not on who else is asked for. Raises PeopleError.
    """

    def __init__(self, recipe: Recipe, schema: Mapping[str, Any]) -> None:
        self._recipe = recipe
        self._personas = {persona.name: persona for persona in recipe.personas}
        self._schema = Schema(schema)
        self._traits = Traits(self._schema)
        self._fingerprints = recipe.fingerprints(schema)
        # All people are drawn from one stream, one after the other, whatever thread asks.
        self._stream = Stream()
        self._lock = threading.Lock()
        wanted = (*(recipe.locales or ("en_US",)), *(persona.locale for persona in recipe.personas if persona.locale))
        self._voices = {locale: Voice(locale, self._stream) for locale in wanted}
        self._locales = list(dict.fromkeys(recipe.locales))
        self._overrides = self._compiled(recipe.traits)
        self._of_persona = {
            persona.name: {**self._overrides, **self._compiled(persona.traits)} for persona in recipe.personas
        }
        self._offset: int = salt(f"{recipe.set}\0{recipe.seed}") % _NUMBERED
        self._check_phones()
        for key in (*self._personas, *range(1, min(recipe.count, _SAMPLES) + 1)):
            self.identity(key)

    @cached_property
    def _validate(self) -> Callable[[Mapping[str, Any]], None]:
        # Made when there are traits: what the schema lacks for making them says more than that it can't be used.
        return self._schema.validator()

    def login(self, key: str | int) -> str:
        """Return what a person logs in with: an address, or a user name or number where the schema wants that."""
        with self._lock:
            return self._traits.login.value(self._someone(str(key), 0))

    def identity(self, key: str | int, password_hash: str = "") -> dict[str, Any]:
        """Return what Kratos takes for one person, checked against the schema; raises TraitError.

        There are no credentials without a hash, and none for a persona without a password.
        """
        with self._lock:
            return self._identity(str(key), password_hash)

    def _identity(self, key: str, password_hash: str) -> dict[str, Any]:
        someone, traits = self._fitting(key)
        recipe, persona = self._recipe, someone.persona
        verified = self._verified(someone)
        mark = {"set": recipe.set, "seed": recipe.seed, "key": key, "recipe": self._fingerprints.of(key)}
        public = {**recipe.metadata_public, **(persona.metadata_public if persona else {})}
        identity: dict[str, Any] = {
            "schema_id": recipe.schema_id,
            "state": persona.state if persona else "active",
            "traits": traits,
            "verifiable_addresses": [
                {"value": value, "via": via, "verified": verified, "status": "completed" if verified else "pending"}
                for value, via in dict.fromkeys(someone.verifiable)
            ],
            "metadata_admin": {**recipe.metadata_admin, **(persona.metadata_admin if persona else {}), MARK: mark},
        }
        if public:
            identity["metadata_public"] = public
        if password_hash and (persona is None or persona.password):
            identity["credentials"] = {"password": {"config": {"hashed_password": password_hash}}}
        return identity

    def _fitting(self, key: str) -> tuple[Someone, dict[str, Any]]:
        """Return a person and traits that fit the schema: as a rule, the first try."""
        problem: TraitError | None = None
        for attempt in range(_TRIES):
            someone = self._someone(key, attempt)
            traits = self._traits.make(someone)
            try:
                self._validate(traits)
            except TraitError as error:
                problem = problem or error
            else:
                return someone, traits
        raise problem or TraitError("traits: can't generate traits that fit the schema")

    def _someone(self, key: str, attempt: int) -> Someone:
        recipe, persona = self._recipe, self._personas.get(key)
        base = _base(recipe, f"{key}\0{attempt}" if attempt else key)
        return Someone(
            base,
            recipe.local_part(key),
            recipe.domain,
            phones.number(self._place(key, persona)),
            self._stream,
            self._voice(base, persona),
            persona,
            self._of_persona[key] if persona else self._overrides,
        )

    def _voice(self, base: int, persona: Persona | None) -> Voice:
        if persona and persona.locale:
            return self._voices[persona.locale]
        if persona or len(self._locales) == 1:
            return self._voices[self._locales[0]]
        self._stream.start(base ^ _VOICE)
        return self._voices[self._stream.choice(self._locales)]

    def _verified(self, someone: Someone) -> bool:
        if someone.persona and someone.persona.verified is not None:
            return someone.persona.verified
        self._stream.start(someone.base ^ _VERIFIED)
        return self._stream.random() < self._recipe.verified

    def _place(self, key: str, persona: Persona | None) -> int:
        """Return which telephone number is a person's own."""
        if persona:
            return _NUMBERED + salt(f"{self._recipe.set}\0{key}") % _PERSONAS
        return (self._offset + int(key)) % _NUMBERED

    def _check_phones(self) -> None:
        """Raise TraitError when two people would have the same telephone number as their own."""
        own = next((own for own in self._traits.own if own.kind == "phone"), None)
        if own is None:
            return
        if self._recipe.count > _NUMBERED:
            raise TraitError(f"{own.path}: only {_NUMBERED} reserved phone numbers are available; set a lower count")
        places: dict[int, str] = {}
        for name, persona in self._personas.items():
            other = places.setdefault(self._place(name, persona), name)
            if other != name:
                raise TraitError(f"{own.path}: the personas {other} and {name} get the same phone number; rename one")

    def _compiled(self, traits: Mapping[str, Any]) -> dict[str, Override]:
        own = {each.path for each in self._traits.own}
        found = {}
        for path, given in traits.items():
            if path not in self._traits.types:
                known = [each for each in self._traits.types if each != "traits"]
                raise TraitError(f"{path}: the identity schema has no such trait{suggestion(path, known)}")
            override = found[path] = Override(path, given)
            if path in own and override.replaces:
                raise TraitError(f"{path}: can't be set, it is unique for each user and made from set, seed and number")
            override.check(self._voices)
        return found


def _base(recipe: Recipe, key: str) -> int:
    """Return 64 bits from which all random numbers of a person follow."""
    digest = hashlib.sha256(f"{recipe.set}\0{recipe.seed}\0{key}".encode()).digest()
    return int.from_bytes(digest[8:16], "big")
