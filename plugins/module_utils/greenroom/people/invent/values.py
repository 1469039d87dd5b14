# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Texts and numbers within the bounds that a schema gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from .patterns import Pattern, PatternError, compiled
from .person import CUTTABLE, Someone
from .randomness import salt
from .schema import TraitError
from .trait_kinds import BY_FORMAT

Maker = Callable[[Someone], Any]
"""Makes a value for somebody."""

_FIXED = {"regex": "^[a-z]+$", "json-pointer": "/a", "relative-json-pointer": "0"}


def text(node: Mapping[str, Any], path: str, fact: str) -> Maker:
    """Return what makes a text: the `fact` as long as it fits, or else from pattern and lengths. Raises TraitError."""
    shortest, longest = int(node.get("minLength", 0)), node.get("maxLength")
    if longest is not None and shortest > longest:
        raise TraitError(f"{path}: can't generate a string of {shortest} to {longest} characters; set it in traits")
    form = str(node.get("format", ""))
    try:
        expression = compiled(node["pattern"]) if "pattern" in node else None
        otherwise = _otherwise(node, form, shortest, longest)
    except PatternError as error:
        if not fact:
            raise TraitError(f"{path}: can't generate a value: {error}; set it in traits") from None
        otherwise = None

    seed = salt(path)

    def make(someone: Someone) -> str:
        for spelling in someone.fact(fact) if fact else ():
            found = spelling
            if longest is not None and len(found) > longest and fact in CUTTABLE:
                found = found[:longest].rstrip()
            if (
                len(found) >= shortest
                and (longest is None or len(found) <= longest)
                and (expression is None or expression.search(found))
            ):
                return found
        someone.stream.start(someone.base ^ seed)
        try:
            if otherwise:
                return str(otherwise(someone))
        except PatternError as error:
            raise TraitError(f"{path}: can't generate a value: {error}; set it in traits") from None
        raise TraitError(f"{path}: can't generate a {form or 'string'} within these bounds; set it in traits")

    return make


def _otherwise(
    node: Mapping[str, Any], form: str, shortest: int, longest: int | None
) -> Callable[[Someone], str] | None:
    """Return what makes a text from the schema alone, None where a format leaves no choice."""
    if form in _FIXED:
        return lambda someone: _FIXED[form]
    if form in BY_FORMAT:
        return None
    if "pattern" in node:
        pattern = Pattern(node["pattern"], shortest, longest)
        return lambda someone: pattern.make(someone.stream)

    def words(someone: Someone) -> str:
        found = str(someone.voice.faker.word())
        while len(found) < shortest or (len(found) < 4 and not longest):
            found += f" {someone.voice.faker.word()}"
        return found if longest is None else found[:longest].rstrip().ljust(shortest, "x")

    return words


def number(node: Mapping[str, Any], path: str, whole: bool) -> Maker:
    """Return what makes a number: of a whole one's steps, or with two digits after the point. Raises TraitError."""
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
    seed, above, below = salt(path), step.numerator, step.denominator

    def make(someone: Someone) -> int | float:
        someone.stream.start(someone.base ^ seed)
        found = someone.stream.randint(first, last) * above
        return found if below == 1 else found / below

    return make


def coin(path: str, share: float) -> Maker:
    """Return what says yes for a share of the people."""
    seed = salt(path)

    def make(someone: Someone) -> bool:
        someone.stream.start(someone.base ^ seed)
        return someone.stream.random() < share

    return make


def _step(width: Fraction) -> Fraction:
    """Return a hundredth, or what gives some choice in a narrower range."""
    step = Fraction(1, 100)
    while 0 < width < step * 10:
        step /= 10
    return step


def _bounds(node: Mapping[str, Any]) -> tuple[Fraction, Fraction]:
    """Return the bounds of a schema; where one is missing, 1000 from the other."""
    lows = [_fraction(node[key]) for key in ("minimum", "exclusiveMinimum") if _is_number(node.get(key))]
    highs = [_fraction(node[key]) for key in ("maximum", "exclusiveMaximum") if _is_number(node.get(key))]
    high = min(highs) if highs else None
    low = max(lows) if lows else Fraction(0) if high is None or high > 0 else high - 1000
    return low, max(low, Fraction(0)) + 1000 if high is None else high


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _fraction(value: Any) -> Fraction:
    """Return a number as it is written: 0.1 is a tenth."""
    return Fraction(str(value))
