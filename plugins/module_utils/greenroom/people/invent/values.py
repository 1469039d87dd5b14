# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Generate strings and numbers within the bounds of a schema."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from .patterns import Pattern, PatternError, compiled
from .person import CUTTABLE, Person
from .randomness import salt
from .schema import TraitError
from .trait_kinds import BY_FORMAT

Maker = Callable[[Person], Any]
"""Generates a user's value."""

_FIXED = {"regex": "^[a-z]+$", "json-pointer": "/a", "relative-json-pointer": "0"}


def text(node: Mapping[str, Any], path: str, fact: str) -> Maker:
    """Return a maker of strings: the `fact` if it fits, otherwise from pattern and lengths. Raises TraitError."""
    shortest, longest = int(node.get("minLength", 0)), node.get("maxLength")
    if longest is not None and shortest > longest:
        raise TraitError(f"{path}: can't generate a string of {shortest} to {longest} characters; set it in traits")
    form = str(node.get("format", ""))
    try:
        expression = compiled(node["pattern"]) if "pattern" in node else None
        fallback = _from_schema(node, form, shortest, longest)
    except PatternError as error:
        if not fact:
            raise TraitError(f"{path}: can't generate a value: {error}; set it in traits") from None
        fallback = None

    seed = salt(path)

    def fits(found: str) -> bool:
        return (
            len(found) >= shortest
            and (longest is None or len(found) <= longest)
            and (expression is None or expression.search(found) is not None)
        )

    def make(person: Person) -> str:
        spellings = person.fact(fact) if fact else ()
        for found in spellings:
            if fits(found):
                return found
        if fact in CUTTABLE and longest is not None and fits(found := spellings[0][:longest].rstrip()):
            return found
        person.stream.start(person.base ^ seed)
        try:
            if fallback:
                return str(fallback(person))
        except PatternError as error:
            raise TraitError(f"{path}: can't generate a value: {error}; set it in traits") from None
        raise TraitError(f"{path}: can't generate a {form or 'string'} within these bounds; set it in traits")

    return make


def _from_schema(
    node: Mapping[str, Any], form: str, shortest: int, longest: int | None
) -> Callable[[Person], str] | None:
    """Return a maker of strings that uses only the schema, or None for a format that only a fact can satisfy."""
    if form in _FIXED:
        return lambda person: _FIXED[form]
    if form in BY_FORMAT:
        return None
    if "pattern" in node:
        pattern = Pattern(node["pattern"], shortest, longest)
        return lambda person: pattern.make(person.stream)

    def words(person: Person) -> str:
        found = str(person.locale_faker.faker.word())
        while len(found) < shortest or (len(found) < 4 and not longest):
            found += f" {person.locale_faker.faker.word()}"
        return found if longest is None else found[:longest].rstrip().ljust(shortest, "x")

    return words


def age(node: Mapping[str, Any], path: str) -> tuple[Maker, int, int]:
    """Return a maker of the user's age, and the least and the greatest age that the schema allows."""
    first, last, _ = _range({**node, "multipleOf": None}, path, whole=True)
    other = number(node, path, whole=True)

    def make(person: Person) -> Any:
        found = int(person.fact("age")[0])
        return found if first <= found <= last else other(person)

    return make, first, last


def number(node: Mapping[str, Any], path: str, whole: bool) -> Maker:
    """Return a maker of numbers: multiples of the step, or with two decimal places. Raises TraitError."""
    first, last, step = _range(node, path, whole)
    seed, above, below = salt(path), step.numerator, step.denominator

    def make(person: Person) -> int | float:
        person.stream.start(person.base ^ seed)
        found = person.stream.randint(first, last) * above
        return found if below == 1 else found / below

    return make


def _range(node: Mapping[str, Any], path: str, whole: bool) -> tuple[int, int, Fraction]:
    """Return the least and the greatest number as multiples of the step, and the step. Raises TraitError."""
    low, high = _bounds(node)
    step = _fraction(node["multipleOf"]) if node.get("multipleOf") else _step(high - low)
    if whole:
        # The smallest whole number that is a multiple of the step.
        step = Fraction(step.numerator) if node.get("multipleOf") else Fraction(1)
    first, last = math.ceil(low / step), math.floor(high / step)
    if node.get("exclusiveMinimum") is not None and first * step == low:
        first += 1
    if node.get("exclusiveMaximum") is not None and last * step == high:
        last -= 1
    if first > last:
        raise TraitError(f"{path}: can't generate a number from {low} to {high}; set it in traits")
    return first, last, step


def boolean(path: str, probability: float) -> Maker:
    """Return a maker that gives True with this probability."""
    seed = salt(path)

    def make(person: Person) -> bool:
        person.stream.start(person.base ^ seed)
        return person.stream.random() < probability

    return make


def _step(width: Fraction) -> Fraction:
    """Return 1/100, or less if the range is too narrow for that."""
    step = Fraction(1, 100)
    while 0 < width < step * 10:
        step /= 10
    return step


def _bounds(node: Mapping[str, Any]) -> tuple[Fraction, Fraction]:
    """Return the bounds of a schema; a missing one is 1000 away from the other."""
    lows = [_fraction(node[key]) for key in ("minimum", "exclusiveMinimum") if _is_number(node.get(key))]
    highs = [_fraction(node[key]) for key in ("maximum", "exclusiveMaximum") if _is_number(node.get(key))]
    high = min(highs) if highs else None
    low = max(lows) if lows else Fraction(0) if high is None or high > 0 else high - 1000
    return low, max(low, Fraction(0)) + 1000 if high is None else high


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _fraction(value: Any) -> Fraction:
    """Convert a number by its decimal notation: 0.1 is 1/10."""
    return Fraction(str(value))
