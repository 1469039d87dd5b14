# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Phone numbers without a subscriber. All are valid E.164 numbers.

Some countries reserve numbers for films and books: too few to give each user another one. The code +888 belongs to no
country: it was assigned to a service of the United Nations, and withdrawn. With 11 more digits, it has room for 100
billion numbers.
"""

from __future__ import annotations

from .places import filled
from .randomness import Stream, salt

# Country → what surrounds the area code of a place: the United States and Canada, France, Great Britain …
_COUNTRIES = {
    "US": "+1{}55501##",
    "CA": "+1{}55501##",
    "FR": "+33{}####",
    "GB": "+44{}###",
    "DE": "+49{}###",
    "SE": "+46{}",
    "AU": "+61{}####",
}
_NOWHERE = "+888"
CAPACITY = 1_000_000
"""How many numbered users of a set can have unique phone numbers."""

# The first of the 11 digits after +888 is 0 for numbers that need not be unique.
_BLOCKS = range(10_000, 80_000)
_PERSONAS = range(80_000_000_000, 100_000_000_000)


def block(user_set: str, seed: str) -> int:
    """Return the block of the set's unique numbers with this seed."""
    return _BLOCKS[salt(f"{user_set}\0{seed}") % len(_BLOCKS)]


def numbered(in_block: int, number: int) -> str:
    """Return the unique number of the user with this number from 1 to CAPACITY."""
    return f"{_NOWHERE}{in_block}{number % CAPACITY:06}"


def personal(user_set: str, name: str) -> str:
    """Return the unique number of a persona."""
    return f"{_NOWHERE}{_PERSONAS[salt(f'{user_set}\0{name}') % len(_PERSONAS)]}"


def local(country: str, areas: str, stream: Stream) -> str:
    """Return a random number of a place, or one without a country if its country reserves none."""
    around = _COUNTRIES.get(country)
    if not around or not areas:
        return filled(f"{_NOWHERE}0##########", stream)
    return filled(around.format(stream.choice(areas.split("/"))), stream)
