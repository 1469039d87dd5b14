# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compile an identity schema into generators of traits.

Every trait in the schema gets a value, also the optional ones. If a trait's name or format matches a fact about the
user, the trait gets that fact. Otherwise its value follows from type, enum, pattern and bounds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from . import values as leaves
from .overrides import ABSENT
from .person import ADULTS, Person
from .randomness import salt
from .schema import EndlessError, Schema, TraitError, merged, type_of
from .trait_kinds import fact_of, is_consent
from .unique_traits import UniqueTrait, assign_suffixes, unique_trait
from .values import Maker

ITEMS = "[]"
_USUAL_ITEMS = 3
_EXTRA_ITEMS = 50
_OLDEST = 120
# Facts with few values, which an enum may spell in a different way.
_ENUM_FACTS = frozenset(
    {"locale", "language", "country", "country_code", "gender", "currency", "salutation"}
    | {f"{at}{name}" for at in ("", "work_") for name in ("timezone", "region", "region_code", "city")}
)

Path = tuple[str, ...]


def dotted(path: Path) -> str:
    """Return a trait's path in the notation of playbooks: name.first, addresses[].city."""
    return ".".join(path).replace(f".{ITEMS}", ITEMS) or "traits"


def _names(path: Path) -> Path:
    """Return the names in a path that describe the value: an item of `emails` is an `email`."""
    names = tuple(name for name in path if name != ITEMS)
    return (*names[:-1], names[-1].removesuffix("s")) if names and path[-1] == ITEMS else names


class Traits:
    """Generates traits.

    `types` maps the path of each trait to its type ("" if the schema names none). `unique` lists the traits that no two
    users share, `login` is the one that users log in with, `ages` are the youngest and the oldest age that the schema
    allows. Raises TraitError.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.types: dict[str, str] = {}
        self.unique: list[UniqueTrait] = []
        self.ages = ADULTS
        self._make = self._value(schema.traits, (), ())
        login = assign_suffixes(self.unique)
        if login is None:
            raise TraitError(
                "traits: the identity schema has no trait that users log in with (credentials.password.identifier)"
            )
        self.login = login

    def make(self, person: Person) -> dict[str, Any]:
        """Return a user's traits. Raises TraitError if one can't be generated."""
        found: dict[str, Any] = self._make(person)
        return found

    def _value(self, given: Any, path: Path, refs: tuple[str, ...]) -> Maker:
        node = {} if given is True else given
        if not isinstance(node, Mapping):
            raise TraitError(f"{dotted(path)}: can't generate a value that the schema does not allow; set it in traits")
        node, refs = self._schema.resolved(node, dotted(path), refs)
        for key in ("oneOf", "anyOf"):
            if node.get(key) and "enum" not in node and "const" not in node:
                return self._one_of(node, key, path, refs)
        names = _names(path)
        fact = fact_of(names, str(node.get("format", "")))
        kind = type_of(node)
        self.types[dotted(path)] = kind if "type" in node else ""
        if "const" in node:
            return lambda person: node["const"]
        if unique := unique_trait(node, dotted(path), fact if kind == "string" else ""):
            if kind != "string" or "enum" in node:
                raise TraitError(f"{unique.path}: can't generate unique values of the type {kind}")
            # Two alternatives may describe the same trait.
            same = next((each for each in self.unique if (each.path, each.kind) == (unique.path, unique.kind)), unique)
            if same is unique:
                self.unique.append(unique)
            return same.value
        if "enum" in node:
            return _enum(list(node["enum"]), dotted(path), fact)
        if fact == "age" and kind in ("integer", "number"):
            return self._age(node, path)
        simple: dict[str, Callable[[], Maker]] = {
            "string": lambda: leaves.text(node, dotted(path), fact),
            "integer": lambda: leaves.number(node, dotted(path), whole=True),
            "number": lambda: leaves.number(node, dotted(path), whole=False),
            "boolean": lambda: leaves.boolean(dotted(path), 1.0 if is_consent(names) else 0.5),
            "null": lambda: lambda person: None,
            "object": lambda: self._object(node, path, refs),
            "array": lambda: self._array(node, path, refs),
        }
        if kind not in simple:
            raise TraitError(f"{dotted(path)}: can't generate the type {kind}; set it in traits")
        return simple[kind]()

    def _age(self, node: Mapping[str, Any], path: Path) -> Maker:
        """Return a maker of the user's age. The user's birth date depends on which ages the schema allows."""
        maker, low, high = leaves.age(node, dotted(path))
        if ITEMS not in path:
            adult = max(low, self.ages[0]), min(high, self.ages[1])
            if adult[0] <= adult[1]:
                self.ages = adult
            elif self.ages == ADULTS and 0 <= low <= _OLDEST:
                self.ages = low, min(high, _OLDEST)
        return maker

    def _one_of(self, node: dict[str, Any], key: str, path: Path, refs: tuple[str, ...]) -> Maker:
        """Return a maker that picks an alternative; it ignores alternatives that can't be generated."""
        base = {name: value for name, value in node.items() if name != key}
        makers: list[Maker] = []
        problem: TraitError | None = None
        for part in node[key]:
            try:
                found, now = self._schema.resolved(part if isinstance(part, Mapping) else {}, dotted(path), refs)
                makers.append(self._value(merged(base, found), path, now))
            except TraitError as error:
                problem = error
        if not makers:
            raise problem or TraitError(f"{dotted(path)}: can't generate a value; set it in traits")
        seed = salt(f"{key} {dotted(path)}")

        def make(person: Person) -> Any:
            person.stream.start(person.base ^ seed)
            first = person.stream.randrange(len(makers))
            for maker in (*makers[first:], *makers[:first]):
                try:
                    return maker(person)
                except TraitError as error:
                    problem = error
            raise problem

        return make

    def _object(self, node: dict[str, Any], path: Path, refs: tuple[str, ...]) -> Maker:
        properties = dict(node.get("properties") or {})
        required = list(node.get("required") or ())
        for name in required:
            if name not in properties:
                properties[name] = node.get("additionalProperties", True)
        members: list[tuple[str, str, str, Maker]] = []
        for name, part in properties.items():
            here = (*path, name)
            if part is False and name not in required:
                continue
            try:
                maker = self._value(part, here, refs)
            except TraitError as error:
                if isinstance(error, EndlessError) and name not in required:
                    continue
                # A user for whom a playbook sets this trait does not need it generated.
                self.types.setdefault(dotted(here), "")
                maker = _failing(error)
            members.append((name, dotted(here), self.types.get(dotted(here), ""), maker))

        def make(person: Person) -> dict[str, Any]:
            found = {}
            for name, where, kind, maker in members:
                override = person.overrides.get(where)
                value = override(person, maker, kind) if override else maker(person)
                if value is not ABSENT:
                    found[name] = value
            return found

        return make

    def _array(self, node: dict[str, Any], path: Path, refs: tuple[str, ...]) -> Maker:
        unique_before = len(self.unique)
        items = node.get("items", True)
        low, high = int(node.get("minItems", 0)), node.get("maxItems")
        if isinstance(items, list):
            makers = [self._value(item, (*path, ITEMS), refs) for item in items]
            low, high = max(low, len(makers)), len(makers)
        else:
            try:
                makers = [self._value(items, (*path, ITEMS), refs)]
            except EndlessError:
                if low:
                    raise
                return lambda person: []
            usual = max(low, 1) if len(self.unique) > unique_before else low + _USUAL_ITEMS
            high = usual if high is None else min(high, usual)
            low = usual if len(self.unique) > unique_before else low
        if low > high:
            raise TraitError(f"{dotted(path)}: can't generate {low} to {high} items; set it in traits")
        where, seed, unique = dotted(path), salt(dotted(path)), bool(node.get("uniqueItems"))

        def make(person: Person) -> list[Any]:
            person.stream.start(person.base ^ seed)
            count = person.stream.randint(low, high)
            found: list[Any] = []
            seen: set[str] = set()
            for index in range(count + (_EXTRA_ITEMS if unique else 0)):
                if len(found) == count:
                    break
                value = makers[min(len(found), len(makers) - 1)](person.item(index))
                text = json.dumps(value, sort_keys=True) if unique else ""
                if not unique or text not in seen:
                    found.append(value)
                    seen.add(text)
            if len(found) < low:
                raise TraitError(f"{where}: can't generate {low} different items; set it in traits")
            return found

        return make


def _failing(error: TraitError) -> Maker:
    """Return a maker that raises the error for every user."""

    def make(person: Person) -> Any:
        raise error

    return make


def _enum(values: list[Any], path: str, fact: str) -> Maker:
    """Return a maker that picks the user's fact if the enum has it, otherwise a random value."""
    choice = [value for value in values if value is not None] or values
    if not choice:
        raise TraitError(f"{path}: can't generate a value, its enum is empty; set it in traits")
    seed = salt(path)
    spellings = {_normalized(value): value for value in reversed(choice) if isinstance(value, str)}

    def make(person: Person) -> Any:
        for spelling in person.fact(fact) if fact in _ENUM_FACTS else ():
            if _normalized(spelling) in spellings:
                return spellings[_normalized(spelling)]
        person.stream.start(person.base ^ seed)
        return person.stream.choice(choice)

    return make


def _normalized(text: str) -> str:
    return text.lower().replace("_", "-")
