# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Faker for one locale: reproducible, because it uses only our random numbers, and faster."""

from __future__ import annotations

import datetime
import importlib
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from ..recipe.personas import UsersError
from .places import CURRENCIES, Place, country_of, places_of
from .randomness import Stream

TODAY = datetime.datetime(2026, 1, 1)
"""The date that Faker uses as today, so that "18 to 80 years old" means the same dates in every run."""


# Of Faker's time zones, the first is not that of the capital, or an old name.
_TIMEZONES = {"NP": "Asia/Kathmandu", "PS": "Asia/Hebron", "UZ": "Asia/Tashkent"}
_HOUSE, _STREET = "{{building_number}}", "{{street_name}}"


class LocaleFaker:
    """Names, addresses and so on of a locale: `faker` has Faker's providers as methods.

    `country` has two letters, `countries` are its names, `places` the cities in which people live.
    """

    def __init__(self, locale: str, stream: Stream) -> None:
        try:
            factory = importlib.import_module("faker.factory")
        except ImportError as error:
            raise UsersError(f"the generator is missing: {error}") from None
        try:
            self.faker: Any = factory.Factory.create(locale)
        except AttributeError:
            raise UsersError(f"the generator has no locale '{locale}'") from None
        self.locale = locale
        # Without a seed, some providers use the system's random numbers.
        self.faker.seed_instance(0)
        self.faker.random = stream
        _WeightedChoice(stream).install(self.faker.providers)
        _fix_today()
        self._calls: dict[tuple[str, ...], Callable[[], Any]] = {}
        self._describe_country()

    def _describe_country(self) -> None:
        self.country = country_of(self.locale)
        listed = importlib.import_module("faker.providers.date_time").Provider.countries
        found = next((each for each in listed if each.alpha_2_code == self.country), None)
        if found is None:
            raise UsersError(f"the generator doesn't know the country of the locale '{self.locale}'")
        code = self.country
        self.countries: tuple[str, ...] = (found.name, code, code.lower(), found.alpha_3_code)
        self.currency = CURRENCIES[code]
        timezone = _TIMEZONES.get(code, found.timezones[0])
        self.places = places_of(self.locale) or (Place(found.capital, "", found.capital, "", "", timezone),)

    def call(self, *names: str) -> str:
        """Return what the first of these providers returns that the locale has."""
        call = self._calls.get(names)
        if call is None:
            call = self._calls[names] = next(getattr(self.faker, name) for name in names if hasattr(self.faker, name))
        return str(call())

    def street_address(self, street: str, house_number: str) -> str:
        """Return a street and a house number in the order of the locale, perhaps with an apartment."""
        formats = getattr(self._provider("address"), "street_address_formats", ())
        usable = [each for each in formats if _STREET in each and _HOUSE in each] or [f"{_STREET} {_HOUSE}"]
        chosen = str(self.faker.random.choice(usable)).replace(_STREET, street).replace(_HOUSE, house_number)
        return str(self.faker.parse(chosen)) if "{{" in chosen else chosen

    def gender_of(self, first_name: str) -> str:
        """Return `female` or `male` for a name that only women or men of this locale have, otherwise nothing."""
        word, provider = first_name.split(" ", maxsplit=1)[0], self._provider("person")
        found = [each for each in ("female", "male") if word in (getattr(provider, f"first_names_{each}", None) or ())]
        return found[0] if len(found) == 1 else ""

    def _provider(self, kind: str) -> Any:
        return next(
            (each for each in self.faker.get_providers() if each.__provider__ == f"faker.providers.{kind}"), None
        )


class _WeightedChoice:
    """Faker's weighted choice with cached sums: Faker sums all weights on each call, which takes 0.15 ms per name."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._tables: dict[int, tuple[Mapping[Any, float], list[Any], list[float]]] = {}

    def install(self, providers: Sequence[Any]) -> None:
        for provider in providers:
            provider.random_element = self

    def __call__(self, elements: Any = ("a", "b", "c")) -> Any:
        """Return an element of a sequence, or a key of a mapping whose values are weights."""
        if not isinstance(elements, Mapping):
            return self._stream.choice(elements if hasattr(elements, "__getitem__") else sorted(elements))
        table = self._tables.get(id(elements))
        if table is None:
            if len(self._tables) > 1000:
                self._tables.clear()
            # Keep a reference to the mapping, so that no other object gets its id.
            table = self._tables[id(elements)] = (elements, list(elements), list(accumulate(elements.values())))
        return self._stream.choices(table[1], cum_weights=table[2])[0]


# --- a fixed date ---


class _AcceptsBase(type):
    """Makes real dates instances of the classes below."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.__mro__[1])


class _FixedDate(datetime.date, metaclass=_AcceptsBase):
    @classmethod
    def today(cls) -> datetime.date:  # type: ignore[override]
        return TODAY.date()


class _FixedDatetime(datetime.datetime, metaclass=_AcceptsBase):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
        return TODAY.replace(tzinfo=tz)

    @classmethod
    def today(cls) -> datetime.datetime:  # type: ignore[override]
        return TODAY


_FIXED_DATETIME = types.SimpleNamespace(**{**vars(datetime), "date": _FixedDate, "datetime": _FixedDatetime})


def _fix_today() -> None:
    """Give the providers' modules a `datetime` whose today is always TODAY."""
    for name, module in list(sys.modules.items()):
        if name.startswith("faker.providers."):
            for key, value in list(vars(module).items()):
                if value is datetime:
                    setattr(module, key, _FIXED_DATETIME)
                elif value is datetime.date:
                    setattr(module, key, _FixedDate)
                elif value is datetime.datetime:
                    setattr(module, key, _FixedDatetime)
