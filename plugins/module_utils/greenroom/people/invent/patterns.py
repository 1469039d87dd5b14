# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Generate strings that match a regular expression from a schema.

Schemas use the syntax of Go or ECMAScript. Supported are literals, classes, groups, alternatives, counts and anchors.
Generation ignores look-arounds and word boundaries. Each generated string is tested against the whole expression.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

from .randomness import Stream

Piece = Callable[[Stream, int], str]
"""Generates a matching string; the number limits how often `*` and `+` repeat beyond their minimum."""

# Limits for repetition: natural-looking ones first, then those for short and long strings.
_EXTRAS = (7, 3, 1, 0, 15, 31, 63, 127, 255)
_TRIES = 60
_LETTERS = string.ascii_lowercase
_CLASSES = {"d": string.digits, "w": _LETTERS + string.digits, "s": " "}
_POSIX = {
    **{"alpha": string.ascii_letters, "digit": string.digits, "alnum": string.ascii_letters + string.digits},
    **{"lower": _LETTERS, "upper": string.ascii_uppercase, "space": " ", "punct": ".,:;!?-", "word": _CLASSES["w"]},
}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_ANY = string.ascii_letters + string.digits + " -_.,:;!?@#/+*=()'"
_PROPERTY = re.compile(r"\\p(?:\{(\w+)\}|([A-Z]))")


class PatternError(ValueError):
    """A pattern that no string can be generated for; the message says why."""


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a schema's pattern. Raises PatternError."""
    try:
        return re.compile(python_pattern(pattern))
    except (re.error, OverflowError, ValueError) as error:
        raise PatternError(f"the pattern {pattern} can't be parsed: {error}") from None


def python_pattern(pattern: str) -> str:
    r"""Translate the syntax of Go and ECMAScript: `$` matches only at the end; `\z`, `\p{L}`, `[[:alpha:]]`."""
    translated = []
    in_class = False
    for token in re.findall(r"\\[px]\{\w+\}|\\p[A-Z]|\\.|\[:\w+:\]|\(\?<(?=\w)|.", pattern, re.DOTALL):
        translated.append(_python_token(token, in_class))
        if token == "[" or (token == "]" and in_class):
            in_class = token == "["
    return "".join(translated)


def _python_token(token: str, in_class: bool) -> str:
    if found := _PROPERTY.fullmatch(token):
        ranges = _property(found[1] or found[2])
        return ranges if in_class else f"[{ranges}]"
    if token.startswith(r"\x{"):
        return re.escape(chr(int(token[3:-1], 16)))
    if not in_class:
        return {"$": r"\Z", r"\z": r"\Z", "(?<": "(?P<"}.get(token, token)
    if token.startswith("[:") and token[2:-2] in _POSIX:
        return re.escape(_POSIX[token[2:-2]])
    return r"\[" if token == "[" else token


@cache
def _property(name: str) -> str:
    r"""Return the characters of a Unicode category (L, Lu, Nd …) as ranges for a character class."""
    ranges: list[list[int]] = []
    for code in range(0x10000):  # enough for names and text; the remaining planes take long to scan
        if unicodedata.category(chr(code)).startswith(name):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    if not ranges:
        raise ValueError(f"unknown Unicode category \\p{{{name}}}")
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


class Pattern:
    """Generates strings of `shortest` to `longest` characters that match `pattern`. Raises PatternError."""

    def __init__(self, pattern: str, shortest: int = 0, longest: int | None = None) -> None:
        self.expression = compiled(pattern)
        self._pattern = pattern
        self._shortest = shortest
        self._longest = longest
        self._piece = _Parser(pattern).parse()
        self._extra = self._best()

    def fits(self, text: str) -> bool:
        """Return whether a string matches and has an allowed length."""
        return (
            len(text) >= self._shortest
            and (self._longest is None or len(text) <= self._longest)
            and self.expression.search(text) is not None
        )

    def make(self, stream: Stream) -> str:
        """Return a matching string. Raises PatternError if no attempt matches."""
        for _ in range(_TRIES * 10):
            text = self._try(stream, self._extra)
            if self.fits(text):
                return text
        raise PatternError(f"found no text for the pattern {self._pattern}")

    def _try(self, stream: Stream, extra: int) -> str:
        """Return a candidate, padded to the minimum length: a pattern without anchors allows that."""
        text = self._piece(stream, extra)
        return text + "".join(stream.choice(_LETTERS) for _ in range(self._shortest - len(text)))

    def _best(self) -> int:
        """Return the first limit for repetition that makes a third of the attempts match, otherwise the best one."""
        stream = Stream()
        stream.start(0)
        hits = {}
        for extra in _EXTRAS:
            hits[extra] = sum(self.fits(self._try(stream, extra)) for _ in range(_TRIES))
            if hits[extra] * 3 >= _TRIES:
                return extra
        best = max(hits, key=lambda extra: hits[extra])
        if not hits[best]:
            length = f" of {self._shortest} to {self._longest} characters" if self._longest is not None else ""
            raise PatternError(f"found no text{length} for the pattern {self._pattern}")
        return best


class _Parser:
    """Parses a pattern into generators of strings, by recursive descent."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0

    def parse(self) -> Piece:
        piece = self._alternatives()
        if self._place < len(self._pattern):
            raise self._error("unmatched )")
        return piece

    def _error(self, reason: str) -> PatternError:
        return PatternError(f"the pattern {self._pattern} can't be parsed: {reason}")

    def _peek(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _take(self, text: str = "") -> str:
        """Return the next character; with `text`, return it if it comes next, otherwise an empty string."""
        if text:
            if not self._pattern.startswith(text, self._place):
                return ""
            self._place += len(text)
            return text
        self._place += 1
        if self._place > len(self._pattern):
            raise self._error("it ends too early")
        return self._pattern[self._place - 1]

    def _match(self, expression: str) -> re.Match[str] | None:
        found = re.compile(expression).match(self._pattern, self._place)
        if found:
            self._place = found.end()
        return found

    def _alternatives(self) -> Piece:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else lambda stream, extra: stream.choice(branches)(stream, extra)

    def _sequence(self) -> Piece:
        pieces = []
        while self._peek() not in ("", "|", ")"):
            pieces.append(self._counted(self._atom()))
        return lambda stream, extra: "".join(piece(stream, extra) for piece in pieces)

    def _counted(self, piece: Piece) -> Piece:
        found = self._match(r"(?:([*+?])|\{(\d+)(,?)(\d*)\})[?+]?")
        if not found:
            return piece
        sign, least, comma, most = found.groups()
        first = {"+": 1}.get(sign, 0) if sign else int(least)
        last = {"?": 1}.get(sign) if sign else (int(most) if most else None if comma else first)

        def repeat(stream: Stream, extra: int) -> str:
            end = first + extra if last is None else min(last, first + extra)
            return "".join(piece(stream, extra) for _ in range(stream.randint(first, max(first, end))))

        return repeat

    def _atom(self) -> Piece:
        sign = self._take()
        if sign == "(":
            return self._group()
        if sign == "[":
            return _one_of(self._class())
        if sign == ".":
            return _one_of(_CLASSES["w"])
        if sign in "*+?":
            raise self._error(f"nothing before {sign}")
        if sign in "^$" or (sign == "\\" and self._match("[bBAzZ]")):
            return _nothing
        if sign == "\\" and self._match(r"[1-9]|k<"):
            raise self._error("backreferences are not supported")
        return _one_of(self._escaped() if sign == "\\" else sign)

    def _group(self) -> Piece:
        around = self._match(r"\?(<?[=!])")
        if not around and not self._match(r"\?:|\?P?<\w+>|\?[ims]+:"):
            if self._match(r"\?[ims]+\)"):
                return _nothing
            if self._peek() == "?":
                raise self._error("unknown kind of group")
        piece = self._alternatives()
        if not self._take(")"):
            raise self._error("missing )")
        return _nothing if around else piece

    def _escaped(self) -> str:
        """Return the characters that an escape matches, as far as generation uses them."""
        sign = self._take()
        if found := self._match(r"(?<=x)([0-9A-Fa-f]{2})|(?<=x)\{([0-9A-Fa-f]+)\}|(?<=u)([0-9A-Fa-f]{4})"):
            return chr(int(found[1] or found[2] or found[3], 16))
        if found := self._match(r"(?<=p)\{(\w+)\}|(?<=p)([A-Z])"):
            return _of_property(found[1] or found[2])
        if sign.lower() in _CLASSES:
            characters = _CLASSES[sign.lower()]
            return characters if sign.islower() else _others(characters + "_" * (sign == "W"))
        if sign.isalnum() and sign not in _CONTROL:
            raise self._error(f"unknown escape \\{sign}")
        return _CONTROL.get(sign, sign)

    def _class(self) -> str:
        negated = bool(self._take("^"))
        characters = ""
        while self._peek() != "]" or not characters:
            first = self._class_item()
            if len(first) == 1 and self._match(r"-(?!\])"):
                last = self._class_item()
                if len(last) != 1 or last < first:
                    raise self._error("a character range is reversed")
                first = "".join(map(chr, range(ord(first), min(ord(last), ord(first) + 255) + 1)))
            characters += first
        self._take("]")
        chosen = _others(characters) if negated else characters
        if not chosen:
            raise self._error("empty character class")
        # Duplicates must not be more likely, and the order must not matter.
        return "".join(sorted(set(chosen)))

    def _class_item(self) -> str:
        if found := self._match(r"\[:(\w+):\]"):
            if found[1] not in _POSIX:
                raise self._error(f"unknown character class [:{found[1]}:]")
            return _POSIX[found[1]]
        sign = self._take()
        if sign != "\\":
            return sign
        return "\b" if self._take("b") else self._escaped()


def _of_property(name: str) -> str:
    """Return the common characters of a Unicode category."""
    return "".join(_in_category(name)) or chr(ord(next(iter(_property(name)))))


def _in_category(name: str) -> Iterator[str]:
    for character in _ANY + "áéíñöüÅÉ":
        if unicodedata.category(character).startswith(name):
            yield character


def _others(characters: str) -> str:
    return "".join(each for each in _ANY if each not in characters)


def _one_of(characters: str) -> Piece:
    return lambda stream, extra: stream.choice(characters)


def _nothing(_stream: Stream, _extra: int) -> str:
    return ""
