# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Traits that a playbook defines, instead of the schema."""

from __future__ import annotations

import datetime
import decimal
import json
import random
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...common.names import nearest
from .randomness import salt
from .schema import TraitError

if TYPE_CHECKING:
    from .locales import LocaleFaker
    from .person import Person

_TYPES: dict[str, Any] = {"integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
_TYPES["null"] = type(None)

ABSENT: Any = object()
"""Marks a trait that a user does not have."""


class Override:
    """One entry of `traits`: a provider's name, {provider, args}, {value} or {text}; with a share of the users.

    A text is converted to the trait's type.
    """

    def __init__(self, path: str, given: Any) -> None:
        spec: Mapping[str, Any] = {"provider": given} if isinstance(given, str) else given
        self._path = path
        self._salt = salt(f"override {path}")
        self._share = float(spec.get("share", 1))
        self._share_salt = salt(f"share {path}")
        self._provider: str | None = spec.get("provider")
        args = spec.get("args") or ()
        self._positional = () if isinstance(args, Mapping) else tuple(args)
        self._named = dict(args) if isinstance(args, Mapping) else {}
        self._has_value = "value" in spec
        self._value = spec.get("value")
        self._text: str | None = spec.get("text")

    @property
    def replaces(self) -> bool:
        """Whether this sets the value, not only the share of users that have one."""
        return self._has_value or self._text is not None or self._provider is not None

    def check(self, locale_fakers: Mapping[str, LocaleFaker]) -> None:
        """Raise TraitError if a locale does not have the provider."""
        name = self._provider
        for locale, locale_faker in locale_fakers.items():
            if name is not None and (name.startswith("_") or not callable(getattr(locale_faker.faker, name, None))):
                best = nearest(name, (each for each in dir(locale_faker.faker) if not each.startswith("_")))
                hint = f'; did you mean "{best}"?' if best else ""
                raise TraitError(f"{self._path}: Faker has no provider '{name}' for {locale}{hint}")

    def __call__(self, person: Person, maker: Callable[[Person], Any], kind: str) -> Any:
        """Return a user's value or ABSENT. `maker` generates it from the schema, `kind` is the trait's type."""
        if self._share < 1 and person.place(self._share_salt) >= self._share:
            return ABSENT
        if self._has_value:
            return self._value
        if self._text is not None:
            return self._converted(self._text, kind)
        if self._provider is None:
            return maker(person)
        person.stream.start(person.base ^ self._salt)
        # A few of Faker's providers use Python's own generator.
        random.seed(person.base ^ self._salt)
        try:
            value = getattr(person.locale_faker.faker, self._provider)(*self._positional, **self._named)
        except Exception as error:  # a provider may raise anything for wrong arguments
            raise TraitError(f"{self._path}: the provider {self._provider} failed: {error}") from error
        found = self._plain(value)
        return str(found) if kind == "string" and isinstance(found, (int, float)) else found

    def _converted(self, text: str, kind: str) -> Any:
        """Convert a value from a file that has only text to the type of the trait."""
        if kind in ("", "string"):
            return text
        try:
            found = json.loads(text.strip())
        except ValueError:
            found = None
        if not isinstance(found, _TYPES[kind]) or (kind in ("integer", "number") and isinstance(found, bool)):
            raise TraitError(f"{self._path}: '{text}' is not a value of the type {kind}")
        return found

    def _plain(self, value: Any) -> Any:
        """Convert a provider's value to JSON types."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, (list, tuple, set, frozenset)):
            # The order of a set differs between runs.
            listed = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
            return [self._plain(each) for each in listed]
        if isinstance(value, Mapping):
            return {str(key): self._plain(each) for key, each in value.items()}
        if isinstance(value, datetime.datetime):
            return value.isoformat() + ("" if value.tzinfo else "Z")
        if isinstance(value, decimal.Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        if isinstance(value, (datetime.date, datetime.time, uuid.UUID)):
            return str(value)
        kind = type(value).__name__
        raise TraitError(f"{self._path}: the provider {self._provider} returns a value that is not JSON: {kind}")
