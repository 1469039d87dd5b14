# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Faker for one locale, made to depend on nothing but our random numbers, and faster."""

from __future__ import annotations

import datetime
import importlib
import sys
import types
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from ..recipe.personas import PeopleError
from .randomness import Stream

TODAY = datetime.datetime(2026, 1, 1)
"""What Faker takes for today: "18 to 80 years old" must mean the same days in any run."""


class Voice:
    """How people of a locale are called and where they live: `faker` offers Faker's providers as methods."""

    def __init__(self, locale: str, stream: Stream) -> None:
        try:
            factory = importlib.import_module("faker.factory")
        except ImportError as error:
            raise PeopleError(f"the generator is missing: {error}") from None
        try:
            self.faker: Any = factory.Factory.create(locale)
        except AttributeError:
            raise PeopleError(f"the generator has no locale '{locale}'") from None
        self.locale = locale
        # Without a seed some providers ask the system for randomness.
        self.faker.seed_instance(0)
        self.faker.random = stream
        _Choice(stream).teach(self.faker.providers)
        _stop_clock()


class _Choice:
    """Faker's weighted choice, without adding up all weights each time: that takes 0.15 ms for a name."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._tables: dict[int, tuple[Mapping[Any, float], list[Any], list[float]]] = {}

    def teach(self, providers: Sequence[Any]) -> None:
        for provider in providers:
            provider.random_element = self

    def __call__(self, elements: Any = ("a", "b", "c")) -> Any:
        """Return one of a sequence, or one of a mapping's keys, whose values are weights."""
        if not isinstance(elements, Mapping):
            return self._stream.choice(elements if hasattr(elements, "__getitem__") else sorted(elements))
        table = self._tables.get(id(elements))
        if table is None:
            if len(self._tables) > 1000:
                self._tables.clear()
            # The mapping stays in the table, so that nothing else gets its id.
            table = self._tables[id(elements)] = (elements, list(elements), list(accumulate(elements.values())))
        return self._stream.choices(table[1], cum_weights=table[2])[0]


# --- the same day for ever ---


class _Kind(type):
    """Lets real dates count as instances of the classes below."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.__mro__[1])


class _Date(datetime.date, metaclass=_Kind):
    @classmethod
    def today(cls) -> datetime.date:  # type: ignore[override]
        return TODAY.date()


class _Datetime(datetime.datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
        return TODAY.replace(tzinfo=tz)

    @classmethod
    def today(cls) -> datetime.datetime:  # type: ignore[override]
        return TODAY


_STOPPED = types.SimpleNamespace(**{**vars(datetime), "date": _Date, "datetime": _Datetime})


def _stop_clock() -> None:
    """Give the providers' modules a `datetime` in which it is always the same day."""
    for name, module in list(sys.modules.items()):
        if name.startswith("faker.providers."):
            for key, value in list(vars(module).items()):
                if value is datetime:
                    setattr(module, key, _STOPPED)
                elif value is datetime.date:
                    setattr(module, key, _Date)
                elif value is datetime.datetime:
                    setattr(module, key, _Datetime)
