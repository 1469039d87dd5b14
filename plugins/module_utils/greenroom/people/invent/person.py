# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A synthetic user during generation: name, place, dates. Facts are shared, so a user's traits agree."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..recipe.personas import Persona
from . import phones
from .locales import LocaleFaker
from .randomness import Stream, salt

if TYPE_CHECKING:
    from .overrides import Override

# Languages that write the family name first, and those without a space between the names.
_FAMILY_FIRST = ("hu", "ja", "ko", "vi", "zh")
_JOINED = ("ko", "zh")


@dataclass(slots=True)
class Person:
    """One synthetic user during generation.

    `base` is the seed of all of the user's random numbers, `number` the user's number, 0 for a persona, and `among` the
    seed that all users of the set have. `local` is the local part of the address, `phone` the unique phone number.
    `overrides` replace what the schema says about a trait. `position` holds the indexes of the array items that are
    being generated. `verifiable` collects (address, via).
    """

    base: int
    number: int
    among: int
    local: str
    domain: str
    phone: str
    stream: Stream
    locale_faker: LocaleFaker
    persona: Persona | None = None
    overrides: Mapping[str, Override] = field(default_factory=dict)
    position: tuple[int, ...] = ()
    verifiable: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def item(self, index: int) -> Person:
        """Return a copy of the user for one item of an array; each item has its own facts."""
        base = self.base ^ salt(f"item {index}")
        return Person(
            base,
            self.number,
            self.among ^ salt(f"item {index}"),
            self.local,
            self.domain,
            self.phone,
            self.stream,
            self.locale_faker,
            self.persona,
            self.overrides,
            (*self.position, index),
            self.verifiable,
        )

    def place(self, choice: int) -> float:
        """Return the user's place among the set's users for one choice, from 0 to 1, see `Stream.place`."""
        if self.number:
            return self.stream.place(self.number, self.among ^ choice)
        self.stream.start(self.base ^ choice)
        return self.stream.random()

    def fact(self, name: str) -> tuple[str, ...]:
        """Return a fact in all its spellings, the preferred one first. Each call returns the same."""
        found = self.facts.get(name)
        if found is None:
            self.stream.start(self.base ^ _SALTS[name])
            made = FACTS[name](self)
            found = self.facts[name] = (made,) if isinstance(made, str) else made
        return found

    @property
    def language(self) -> str:
        """Return the language of the user's locale."""
        return self.locale_faker.locale.partition("_")[0]

    @property
    def country(self) -> str:
        """Return the country of the user's locale."""
        return self.locale_faker.locale.partition("_")[2]


def _first(person: Person) -> str:
    return (person.persona and person.persona.first) or str(person.locale_faker.faker.first_name())


def _last(person: Person) -> str:
    return (person.persona and person.persona.last) or str(person.locale_faker.faker.last_name())


def _full(person: Person) -> str:
    names = [person.fact("first")[0], person.fact("last")[0]]
    if person.language in _FAMILY_FIRST:
        names.reverse()
    return ("" if person.language in _JOINED else " ").join(names)


def _initials(person: Person) -> str:
    return "".join(person.fact(name)[0][:1] for name in ("first", "last"))


def _country(person: Person) -> tuple[str, ...]:
    try:
        return str(person.locale_faker.faker.current_country()), *_country_code(person)
    except (AttributeError, ValueError):  # a locale such as ar_AA has no country
        return str(person.locale_faker.faker.country()), *_country_code(person)


def _country_code(person: Person) -> tuple[str, ...]:
    code = person.country or str(person.locale_faker.faker.country_code())
    return code, code.lower()


def _locale(person: Person) -> tuple[str, ...]:
    locale = person.locale_faker.locale
    return locale.replace("_", "-"), locale, locale.lower().replace("_", "-"), person.language


def _language(person: Person) -> tuple[str, ...]:
    return person.language, *_locale(person)[:3]


def _phone(person: Person) -> tuple[str, ...]:
    number = phones.any_number(person.country, person.stream)
    return number, number[1:]


def _day(person: Person, first: int, last: int) -> str:
    start = datetime.date(first, 1, 1).toordinal()
    end = datetime.date(last, 12, 31).toordinal()
    return datetime.date.fromordinal(person.stream.randint(start, end)).isoformat()


def _time(person: Person) -> str:
    seconds = person.stream.randrange(86400)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


def _host(person: Person) -> str:
    # A label of a host name has at most 63 characters.
    return f"{person.local[:63].rstrip('-')}.{person.domain}"


def _faker(*names: str) -> Callable[[Person], str]:
    """Return a function that calls the first of these Faker providers that the locale has."""

    def call(person: Person) -> str:
        faker = person.locale_faker.faker
        return str(next(getattr(faker, name) for name in names if hasattr(faker, name))())

    return call


FACTS: dict[str, Callable[[Person], str | tuple[str, ...]]] = {
    "first": _first,
    "middle": _faker("first_name"),
    "last": _last,
    "full": _full,
    "nickname": lambda person: person.fact("first")[0].split(" ")[0],
    "initials": _initials,
    "salutation": _faker("prefix"),
    "gender": lambda person: person.stream.choice(("female", "male")),
    "birth_date": lambda person: _day(person, 1940, 2007),
    "phone": _phone,
    "street_address": _faker("street_address"),
    "street": _faker("street_name"),
    "house_number": _faker("building_number"),
    "city": _faker("city"),
    "postal_code": _faker("postcode"),
    "region": _faker("administrative_unit", "state", "region", "city"),
    "country": _country,
    "country_code": _country_code,
    "locale": _locale,
    "language": _language,
    "timezone": _faker("timezone"),
    "username": lambda person: person.local,
    "company": _faker("company"),
    "job": _faker("job"),
    "website": lambda person: f"https://{person.domain}/{person.local}",
    "picture": lambda person: f"https://{person.domain}/{person.local}.png",
    "text": _faker("sentence"),
    "currency": _faker("currency_code"),
    "color": _faker("hex_color"),
    # Formats
    "date": lambda person: _day(person, 2000, 2025),
    "time": _time,
    "date_time": lambda person: f"{_day(person, 2000, 2025)}T{_time(person)}",
    "host": _host,
    # Ranges for documentation: RFC 5737, RFC 3849
    "ipv4": lambda person: f"{person.stream.choice(('192.0.2', '198.51.100', '203.0.113'))}.{_byte(person)}",
    "ipv6": lambda person: f"2001:db8::{person.stream.randint(1, 0xFFFF):x}",
    "uuid": lambda person: str(uuid.UUID(int=person.stream.getrandbits(128), version=4)),
}
"""Everything that can be generated about a user, by name."""

CUTTABLE = frozenset(
    {"first", "middle", "last", "full", "nickname", "initials", "salutation", "company", "job", "text"}
    | {"street_address", "street", "city", "region"}
)
"""Facts that may be cut to the length that a schema allows."""

_SALTS = {name: salt(f"fact {name}") for name in FACTS}


def _byte(person: Person) -> int:
    return person.stream.randint(1, 254)
