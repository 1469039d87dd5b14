# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A synthetic user during generation: one record, from which all traits are drawn, so that they agree.

Locale → country → place (region, city, postal code, time zone, phone) and currency. Gender → first name → title. Birth
date → age. Employer → work address.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..recipe.personas import Persona
from . import phones
from .locales import TODAY, LocaleFaker
from .places import Place, filled
from .randomness import Stream, salt
from .titles import titles

if TYPE_CHECKING:
    from .overrides import Override

# Languages that write the family name first, and those without a space between the names.
_FAMILY_FIRST = ("hu", "ja", "ko", "vi", "zh")
_JOINED = ("ko", "zh")
_EMPLOYER = salt("employer")
_GENDERS = {"female": ("female", "f", "F", "woman", "w", "W"), "male": ("male", "m", "M", "man")}

ADULTS = (18, 85)
"""The youngest and the oldest users, unless the schema wants others."""


@dataclass(slots=True)
class Person:
    """One synthetic user during generation.

    `base` is the seed of all of the user's random numbers, `number` the user's number, 0 for a persona, and `among` the
    seed that all users of the set have. `local` is the local part of the address, `phone` the unique phone number.
    `overrides` replace what the schema says about a trait, `ages` are the youngest and the oldest age. `position` holds
    the indexes of the array items that are being generated. `verifiable` collects (address, via).
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
    ages: tuple[int, int] = ADULTS
    position: tuple[int, ...] = ()
    verifiable: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    office: Person | None = None

    def item(self, index: int) -> Person:
        """Return a copy of the user for one item of an array; each item has its own facts."""
        return self._other(salt(f"item {index}"), (*self.position, index), {})

    def at_work(self, name: str) -> tuple[str, ...]:
        """Return a fact about the user's employer, which is in the same city."""
        if self.office is None:
            self.office = self._other(_EMPLOYER, self.position, {"place": self.fact("place")})
        return self.office.fact(name)

    def _other(self, seed: int, position: tuple[int, ...], facts: dict[str, tuple[str, ...]]) -> Person:
        return Person(
            self.base ^ seed,
            self.number,
            self.among ^ seed,
            self.local,
            self.domain,
            self.phone,
            self.stream,
            self.locale_faker,
            self.persona,
            self.overrides,
            self.ages,
            position,
            self.verifiable,
            facts,
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
            # First, because these facts use the same stream.
            for needed in _NEEDS.get(name, ()):
                self.fact(needed)
            self.stream.start(self.base ^ _SALTS[name])
            made = FACTS[name](self)
            found = self.facts[name] = (made,) if isinstance(made, str) else made
        return found

    @property
    def home(self) -> Place:
        """Return where the user lives."""
        return Place(*self.fact("place"))

    @property
    def female(self) -> bool:
        """Return whether the user is a woman."""
        return self.fact("gender")[0] == "female"

    @property
    def birth_date(self) -> datetime.date:
        """Return the day on which the user was born."""
        return datetime.date.fromisoformat(self.fact("birth_date")[0])

    @property
    def language(self) -> str:
        """Return the language of the user's locale."""
        return self.locale_faker.locale.partition("_")[0]


# --- names ---


def _gender(person: Person) -> tuple[str, ...]:
    persona = person.persona
    known = persona and (persona.gender or person.locale_faker.gender_of(persona.first))
    return _GENDERS[known or person.stream.choice(("female", "male"))]


def _gendered(*names: str) -> Callable[[Person], str]:
    """Return a function that calls the first of these Faker providers for women or men that the locale has."""
    of_women = tuple(each for name in names for each in (f"{name}_female", name))
    of_men = tuple(each for name in names for each in (f"{name}_male", name))
    return lambda person: person.locale_faker.call(*(of_women if person.female else of_men))


_first_name, _last_name = _gendered("first_name"), _gendered("last_name")


def _first(person: Person) -> str:
    return (person.persona and person.persona.first) or _first_name(person)


def _last(person: Person) -> str:
    return (person.persona and person.persona.last) or _last_name(person)


def _full(person: Person) -> str:
    names = [person.fact("first")[0], person.fact("last")[0]]
    if person.language in _FAMILY_FIRST:
        names.reverse()
    return ("" if person.language in _JOINED else " ").join(names)


def _initials(person: Person) -> str:
    return "".join(person.fact(name)[0][:1] for name in ("first", "last"))


# --- places ---


def _place(person: Person) -> tuple[str, ...]:
    place: Place = person.stream.choice(person.locale_faker.places)
    return place


def _region(person: Person) -> tuple[str, ...]:
    home = person.home
    return (home.region, home.code) if home.code else (home.region,)


def _postal_code(person: Person) -> str:
    return filled(person.home.postal_code, person.stream) or person.locale_faker.call("postcode")


def _street_address(person: Person) -> str:
    return person.locale_faker.street_address(person.fact("street")[0], person.fact("house_number")[0])


def _locale(person: Person) -> tuple[str, ...]:
    locale = person.locale_faker.locale
    return locale.replace("_", "-"), locale, locale.lower().replace("_", "-"), person.language


def _language(person: Person) -> tuple[str, ...]:
    return person.language, *_locale(person)[:3]


def _phone(person: Person) -> tuple[str, ...]:
    number = phones.local(person.locale_faker.country, person.home.areas, person.stream)
    return number, number[1:]


# --- dates ---


def _birth_date(person: Person) -> str:
    youngest, oldest = person.ages
    return _day(person, _years_ago(oldest + 1) + datetime.timedelta(1), _years_ago(youngest))


def _years_ago(years: int) -> datetime.date:
    return TODAY.date().replace(year=TODAY.year - years)


def _age(person: Person) -> str:
    born, today = person.birth_date, TODAY.date()
    return str(today.year - born.year - ((today.month, today.day) < (born.month, born.day)))


def _past_day(person: Person) -> str:
    """Return a day in this century, on which the user was an adult if that is possible."""
    first, last = datetime.date(2000, 1, 1), datetime.date(2025, 12, 31)
    born = person.birth_date
    grown = datetime.date(born.year + ADULTS[0], born.month, min(born.day, 28))
    return _day(person, min(max(first, grown if grown < last else born), last), last)


def _day(person: Person, first: datetime.date, last: datetime.date) -> str:
    return datetime.date.fromordinal(person.stream.randint(first.toordinal(), last.toordinal())).isoformat()


def _time(person: Person) -> str:
    seconds = person.stream.randrange(86400)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


# --- everything ---


def _host(person: Person) -> str:
    # A label of a host name has at most 63 characters.
    return f"{person.local[:63].rstrip('-')}.{person.domain}"


def _faker(name: str) -> Callable[[Person], str]:
    """Return a function that calls a Faker provider."""
    return lambda person: person.locale_faker.call(name)


def _byte(person: Person) -> int:
    return person.stream.randint(1, 254)


FACTS: dict[str, Callable[[Person], str | tuple[str, ...]]] = {
    "gender": _gender,
    "first": _first,
    "middle": _gendered("middle_name", "first_name"),
    "last": _last,
    "full": _full,
    "nickname": lambda person: person.fact("first")[0].split(" ")[0],
    "initials": _initials,
    "salutation": lambda person: titles(person.language, person.female),
    "birth_date": _birth_date,
    "age": _age,
    "place": _place,
    "region": _region,
    "region_code": lambda person: _region(person)[::-1],
    "city": lambda person: person.home.city,
    "postal_code": _postal_code,
    "street": _faker("street_name"),
    "house_number": _faker("building_number"),
    "street_address": _street_address,
    "phone": _phone,
    "timezone": lambda person: person.home.timezone,
    "country": lambda person: person.locale_faker.countries,
    "country_code": lambda person: person.locale_faker.countries[1:],
    "currency": lambda person: person.locale_faker.currency,
    "locale": _locale,
    "language": _language,
    "username": lambda person: person.local,
    "company": _faker("company"),
    "job": _faker("job"),
    "website": lambda person: f"https://{person.domain}/{person.local}",
    "picture": lambda person: f"https://{person.domain}/{person.local}.png",
    "text": _faker("sentence"),
    "color": _faker("hex_color"),
    # Formats
    "date": _past_day,
    "time": _time,
    "date_time": lambda person: f"{_past_day(person)}T{_time(person)}",
    "host": _host,
    # Ranges for documentation: RFC 5737, RFC 3849
    "ipv4": lambda person: f"{person.stream.choice(('192.0.2', '198.51.100', '203.0.113'))}.{_byte(person)}",
    "ipv6": lambda person: f"2001:db8::{person.stream.randint(1, 0xFFFF):x}",
    "uuid": lambda person: str(uuid.UUID(int=person.stream.getrandbits(128), version=4)),
}
"""Everything that can be generated about a user, by name."""

_NEEDS = {
    **dict.fromkeys(("first", "middle", "last"), ("gender",)),
    **dict.fromkeys(("postal_code", "phone"), ("place",)),
    **dict.fromkeys(("date", "date_time"), ("birth_date",)),
    "street_address": ("street", "house_number"),
}

AT_WORK = frozenset(
    {"street", "house_number", "street_address", "city", "postal_code", "region", "region_code", "timezone", "phone"}
)
"""Facts that an employer has, too, as `work_street` and so on."""

CUTTABLE = frozenset(
    {"first", "middle", "last", "full", "nickname", "initials", "salutation", "company", "job", "text"}
    | {f"{at}{name}" for at in ("", "work_") for name in ("street_address", "street", "city", "region")}
)
"""Facts that may be cut to the length that a schema allows."""


def _of_employer(name: str) -> Callable[[Person], tuple[str, ...]]:
    return lambda person: person.at_work(name)


FACTS |= {f"work_{name}": _of_employer(name) for name in AT_WORK}
_SALTS = {name: salt(f"fact {name}") for name in FACTS}
