# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Find which fact about a user a trait holds, by its name and format."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .person import AT_WORK

_NAMES = {
    "address": "email email_address mail e_mail",
    "first": "first first_name firstname given given_name forename",
    "middle": "middle middle_name",
    "last": "last last_name lastname surname family family_name",
    "full": "name full_name fullname display_name real_name legal_name",
    "nickname": "nick nickname nick_name",
    "initials": "initials",
    "salutation": "salutation honorific prefix name_prefix title",
    "gender": "gender sex",
    "age": "age",
    "birth_date": "birth_date birthdate birthday date_of_birth dob",
    "phone": "phone phone_number mobile mobile_phone mobile_number telephone tel cell cell_phone fax",
    "street_address": "street_address address address_line1 address_line_1 line1 line_1",
    "street": "street street_name",
    "house_number": "house_number building_number",
    "city": "city town locality",
    "postal_code": "postal_code postcode post_code zip zip_code",
    "region": "region state province county",
    "region_code": "region_code state_code province_code",
    "country": "country country_name",
    "country_code": "country_code",
    "locale": "locale",
    "language": "language lang preferred_language",
    "timezone": "timezone time_zone zoneinfo tz",
    "username": "username user_name login preferred_username handle account account_name",
    "company": "company company_name organization organisation organization_name employer employer_name business_name",
    "job": "job job_title occupation profession position",
    "website": "website web homepage home_page url site blog",
    "picture": "picture avatar photo image",
    "text": "bio about description comment note notes message motto",
    "currency": "currency currency_code",
    "color": "color colour",
}
_BY_NAME = {name: fact for fact, names in _NAMES.items() for name in names.split()}

# First words that say which address or number is meant, not what it is.
_QUALIFIERS = frozenset(
    (
        "home",
        "private",
        "personal",
        "main",
        "primary",
        "billing",
        "invoice",
        "shipping",
        "delivery",
        "postal",
        "contact",
    )
)
_AT_WORK = frozenset(("work", "business", "office", "company", "employer", "organization", "organisation"))

_ACCEPTED = re.compile(r"(^|_)(tos|terms|accept|accepts|accepted|agreed|consent)(_|$)")

BY_FORMAT = {
    "email": "address",
    "idn-email": "address",
    "tel": "phone",
    "date": "date",
    "time": "time",
    "date-time": "date_time",
    **dict.fromkeys(("uri", "iri", "uri-reference", "uriref", "iri-reference", "uri-template"), "website"),
    **dict.fromkeys(("hostname", "idn-hostname"), "host"),
    **dict.fromkeys(("ipv4", "ip-address"), "ipv4"),
    "ipv6": "ipv6",
    "uuid": "uuid",
}
"""The fact for each format."""

# Facts that keep the meaning of their name although they have this format.
_OF_FORMAT = {"birth_date": ("date",), "picture": ("uri", "iri"), "website": ("uri", "iri")}


def _snake_case(name: str) -> str:
    """Convert givenName, given-name and Given Name to given_name."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()).strip("_")


def _named(word: str) -> str:
    """Return the fact that a name stands for, also if a first word says which one is meant."""
    first, _, rest = word.partition("_")
    return _BY_NAME.get(word) or _BY_NAME.get(rest if first in _QUALIFIERS | _AT_WORK else "", "")


def fact_of(path: Sequence[str], form: str = "") -> str:
    """Return the fact that a trait holds, by its format and the last two names of its path; empty if unknown."""
    words = [_snake_case(name) for name in path]
    named = _BY_NAME.get("_".join(words[-2:])) or _named(words[-1] if words else "")
    if named in AT_WORK and not _AT_WORK.isdisjoint("_".join(words).split("_")):
        named = f"work_{named}"
    wanted = BY_FORMAT.get(form)
    if wanted is None or form in _OF_FORMAT.get(named, ()) or named == f"work_{wanted}":
        return named
    return wanted


def is_consent(path: Sequence[str]) -> bool:
    """Return whether a trait is a consent that each user must give to get an account."""
    return bool(path) and _ACCEPTED.search(_snake_case(path[-1])) is not None
