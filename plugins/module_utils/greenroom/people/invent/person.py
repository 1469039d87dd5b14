# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Somebody who is being invented: name, place, dates; what one trait says, the others say as well."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..recipe.personas import Persona
from . import phones
from .locales import Voice
from .randomness import Stream, salt

if TYPE_CHECKING:
    from .overrides import Override

# Where family comes first, and where nothing stands between the names.
_FAMILY_FIRST = ("hu", "ja", "ko", "vi", "zh")
_JOINED = ("ko", "zh")


@dataclass(slots=True)
class Someone:
    """One person in the making.

    `base` is what all of the person's random numbers follow from; `local` stands before the @ of the address;
    `phone` is the person's own number; `overrides` say how traits are made otherwise than from the schema; `position`
    says which item of which arrays is being made; `verifiable` collects (address, via).
    """

    base: int
    local: str
    domain: str
    phone: str
    stream: Stream
    voice: Voice
    persona: Persona | None = None
    overrides: Mapping[str, Override] = field(default_factory=dict)
    position: tuple[int, ...] = ()
    verifiable: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def item(self, index: int) -> Someone:
        """Return the same person for one item of an array: with other facts than the next item."""
        base = self.base ^ salt(f"item {index}")
        return Someone(
            base,
            self.local,
            self.domain,
            self.phone,
            self.stream,
            self.voice,
            self.persona,
            self.overrides,
            (*self.position, index),
            self.verifiable,
        )

    def fact(self, name: str) -> tuple[str, ...]:
        """Return a fact in the spellings that there are, the best one first; the same at each call."""
        found = self.facts.get(name)
        if found is None:
            self.stream.start(self.base ^ _SALTS[name])
            made = FACTS[name](self)
            found = self.facts[name] = (made,) if isinstance(made, str) else made
        return found

    @property
    def language(self) -> str:
        """Return the language of the person's locale."""
        return self.voice.locale.partition("_")[0]

    @property
    def country(self) -> str:
        """Return the country of the person's locale."""
        return self.voice.locale.partition("_")[2]


def _first(someone: Someone) -> str:
    return (someone.persona and someone.persona.first) or str(someone.voice.faker.first_name())


def _last(someone: Someone) -> str:
    return (someone.persona and someone.persona.last) or str(someone.voice.faker.last_name())


def _full(someone: Someone) -> str:
    names = [someone.fact("first")[0], someone.fact("last")[0]]
    if someone.language in _FAMILY_FIRST:
        names.reverse()
    return ("" if someone.language in _JOINED else " ").join(names)


def _initials(someone: Someone) -> str:
    return "".join(someone.fact(name)[0][:1] for name in ("first", "last"))


def _country(someone: Someone) -> tuple[str, ...]:
    try:
        return str(someone.voice.faker.current_country()), *_country_code(someone)
    except (AttributeError, ValueError):  # a locale like ar_AA belongs to no country
        return str(someone.voice.faker.country()), *_country_code(someone)


def _country_code(someone: Someone) -> tuple[str, ...]:
    code = someone.country or str(someone.voice.faker.country_code())
    return code, code.lower()


def _locale(someone: Someone) -> tuple[str, ...]:
    locale = someone.voice.locale
    return locale.replace("_", "-"), locale, locale.lower().replace("_", "-"), someone.language


def _language(someone: Someone) -> tuple[str, ...]:
    return someone.language, *_locale(someone)[:3]


def _phone(someone: Someone) -> tuple[str, ...]:
    number = phones.any_number(someone.country, someone.stream)
    return number, number[1:]


def _day(someone: Someone, first: int, last: int) -> str:
    start = datetime.date(first, 1, 1).toordinal()
    end = datetime.date(last, 12, 31).toordinal()
    return datetime.date.fromordinal(someone.stream.randint(start, end)).isoformat()


def _time(someone: Someone) -> str:
    seconds = someone.stream.randrange(86400)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


def _host(someone: Someone) -> str:
    # A host name's label has 63 characters at most.
    return f"{someone.local[:63].rstrip('-')}.{someone.domain}"


def _faker(*names: str) -> Callable[[Someone], str]:
    """Return what takes a fact from the first of Faker's providers that the locale has."""

    def ask(someone: Someone) -> str:
        faker = someone.voice.faker
        return str(next(getattr(faker, name) for name in names if hasattr(faker, name))())

    return ask


FACTS: dict[str, Callable[[Someone], str | tuple[str, ...]]] = {
    "first": _first,
    "middle": _faker("first_name"),
    "last": _last,
    "full": _full,
    "nickname": lambda someone: someone.fact("first")[0].split(" ")[0],
    "initials": _initials,
    "salutation": _faker("prefix"),
    "gender": lambda someone: someone.stream.choice(("female", "male")),
    "birth_date": lambda someone: _day(someone, 1940, 2007),
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
    "username": lambda someone: someone.local,
    "company": _faker("company"),
    "job": _faker("job"),
    "website": lambda someone: f"https://{someone.domain}/{someone.local}",
    "picture": lambda someone: f"https://{someone.domain}/{someone.local}.png",
    "text": _faker("sentence"),
    "currency": _faker("currency_code"),
    "color": _faker("hex_color"),
    # Formats
    "date": lambda someone: _day(someone, 2000, 2025),
    "time": _time,
    "date_time": lambda someone: f"{_day(someone, 2000, 2025)}T{_time(someone)}",
    "host": _host,
    # Ranges for documentation: RFC 5737, RFC 3849
    "ipv4": lambda someone: f"{someone.stream.choice(('192.0.2', '198.51.100', '203.0.113'))}.{_byte(someone)}",
    "ipv6": lambda someone: f"2001:db8::{someone.stream.randint(1, 0xFFFF):x}",
    "uuid": lambda someone: str(uuid.UUID(int=someone.stream.getrandbits(128), version=4)),
}
"""What can be known of a person, by name."""

CUTTABLE = frozenset(
    {"first", "middle", "last", "full", "nickname", "initials", "salutation", "company", "job", "text"}
    | {"street_address", "street", "city", "region"}
)
"""Facts that still make sense when a schema allows fewer characters."""

_SALTS = {name: salt(f"fact {name}") for name in FACTS}


def _byte(someone: Someone) -> int:
    return someone.stream.randint(1, 254)
