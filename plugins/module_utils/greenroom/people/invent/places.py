# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Where people live: places whose region, city, postal code, time zone and phone numbers belong together.

Faker has no such places: its cities are made up, and it draws region, time zone and currency independently. In the
tables, `@` begins the places of a time zone. A place is: region, its code, city, postal code, area codes (with `/`
between them). In postal codes and phone numbers, `#` is a digit and `?` a letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from . import places_america, places_europe, places_world
from .randomness import Stream

_PLACES = {**places_america.PLACES, **places_europe.PLACES, **places_world.PLACES}

_CURRENCIES = """
AED:AE ALL:AL AMD:AM ARS:AR AUD:AU AZN:AZ BAM:BA BDT:BD BGN: BHD:BH BRL:BR CAD:CA CHF:CH,LI CLP:CL CNY:CN COP:CO CZK:CZ
DKK:DK DZD:DZ EGP:EG ETB:ET EUR:AT,BE,BG,CY,DE,EE,ES,FI,FR,GR,HR,IE,IT,LT,LU,LV,MT,NL,PT,SI,SK GBP:GB GEL:GE GHS:GH
HUF:HU IDR:ID ILS:IL,PS INR:IN IRR:IR ISK:IS JOD:JO JPY:JP KES:KE KRW:KR LKR:LK MKD:MK MXN:MX MYR:MY NGN:NG NOK:NO
NPR:NP NZD:NZ PHP:PH PKR:PK PLN:PL RON:RO RUB:RU SAR:SA SEK:SE THB:TH TRY:TR TWD:TW TZS:TZ UAH:UA USD:US UZS:UZ VND:VN
ZAR:ZA
"""
CURRENCIES: dict[str, str] = {
    country: currency
    for currency, _, countries in (each.partition(":") for each in _CURRENCIES.split())
    for country in countries.split(",")
}
"""The currency of each country."""

# Locales of Faker whose second half is not the country of their speakers.
_COUNTRIES = {"ar_AA": "SA", "dk_DK": "DK", "en_MS": "MY", "es_CA": "ES", "fr_QC": "CA"}
_LIKE = {"ar_AA": "ar_SA", "fr_QC": "fr_CA"}

# Without I and O, which look like digits.
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


class Place(NamedTuple):
    """A city; `postal_code` and the `areas` of phone numbers are patterns, empty if they are not known."""

    region: str
    code: str
    city: str
    postal_code: str
    areas: str
    timezone: str


def country_of(locale: str) -> str:
    """Return the two letters of the country in which people of a locale live."""
    return _COUNTRIES.get(locale, locale.partition("_")[2])


@cache
def places_of(locale: str) -> tuple[Place, ...]:
    """Return the places of a locale, or those of another one in the same country; none if there are no such."""
    country = country_of(locale)
    known = (locale, _LIKE.get(locale), *(each for each in _PLACES if country_of(each) == country))
    name = next((each for each in known if each in _PLACES), None)
    return tuple(_parsed(_PLACES[name])) if name else ()


def filled(pattern: str, stream: Stream) -> str:
    """Return a pattern with random digits for `#` and letters for `?`."""
    return "".join(
        str(stream.randrange(10)) if sign == "#" else stream.choice(_LETTERS) if sign == "?" else sign
        for sign in pattern
    )


def _parsed(text: str) -> Iterator[Place]:
    timezone = ""
    for line in text.strip().splitlines():
        if line.startswith("@"):
            timezone = line[1:]
            continue
        for each in line.rstrip(";").split("; "):
            region, code, city, postal_code, areas = each.split(",")
            yield Place(region, code, city, postal_code, areas, timezone)
