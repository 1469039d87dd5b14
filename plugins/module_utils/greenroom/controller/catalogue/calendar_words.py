# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""When a scheduled job runs: systemd's calendar expressions, and cron's five fields as such expressions.

A wrong time is found here, before a run: systemd would refuse the timer when the slot is live already.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Sequence

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
NICKNAMES = {
    "@hourly": "0 * * * *",
    **dict.fromkeys(("@daily", "@midnight"), "0 0 * * *"),
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    **dict.fromkeys(("@yearly", "@annually"), "0 0 1 1 *"),
}
CRON_FIELDS = 5
# The field's name, its lowest and highest number, and the names of its numbers from the lowest on.
_CRON: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, tuple(day.lower() for day in DAYS)),
)
_SHORTHANDS = (
    *("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually"),
)
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_DAYS = re.compile(rf"{_DAY}(?:\.\.{_DAY})?(?:,{_DAY}(?:\.\.{_DAY})?)*", re.IGNORECASE)
_PART = r"(?:\*|\d+(?:\.\.\d+)?)(?:/\d+)?"
_PARTS = rf"{_PART}(?:,{_PART})*"
_DATE = re.compile(rf"(?:(?P<year>{_PARTS})-)?(?P<month>{_PARTS})(?:-|(?P<last>~))(?P<day>{_PARTS})")
_TIME = re.compile(rf"(?P<hour>{_PARTS}):(?P<minute>{_PARTS})(?::(?P<second>{_PARTS}))?")
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]+(?:/[A-Za-z0-9_+-]+)*")
_RANGES = {
    "year": (1970, 2199),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}


def calendars(at: str) -> list[str]:
    """Return the expressions of systemd's `OnCalendar` for a time in its words or in cron's.

    Raises ValueError with what is wrong.
    """
    words = at.split()
    if at.strip().startswith("@"):
        if at.strip() not in NICKNAMES:
            raise ValueError(f"unknown word {at.strip()}; known are {', '.join(NICKNAMES)}")
        words = NICKNAMES[at.strip()].split()
    if len(words) == CRON_FIELDS:
        return _cron(words)
    _check(words)
    return [" ".join(words)]


def _cron(words: Sequence[str]) -> list[str]:
    """Return cron's five fields as calendar expressions: two if both kinds of days are limited, as cron joins them."""
    numbers = [_field(word, *field) for word, field in zip(words, _CRON, strict=True)]
    minute, hour, day, month, weekday = numbers
    weekday = sorted({number % len(DAYS) for number in weekday})
    if not any(LONGEST_MONTH[each - 1] >= min(day) for each in month):
        raise ValueError(f"none of the named months has a day {min(day)}")
    time = f"{_text(hour, 24)}:{_text(minute, 60)}:00"
    days = f"*-{_text(month, 12)}-{_text(day, 31)} {time}"
    named = ",".join(DAYS[number] for number in weekday)
    weekdays = f"{named} *-{_text(month, 12)}-* {time}"
    limited = (not words[2].startswith("*"), not words[4].startswith("*"))
    if limited == (True, True):
        return [days, weekdays]
    if len(weekday) == len(DAYS):
        return [days]
    return [f"{named} {days}"]


def _text(numbers: Sequence[int], all_of_them: int) -> str:
    return "*" if len(numbers) == all_of_them else ",".join(f"{number:02}" for number in numbers)


def _field(word: str, name: str, lowest: int, highest: int, names: Sequence[str]) -> list[int]:
    found: set[int] = set()
    for part in word.split(","):
        spread, slash, step = part.partition("/")
        first, dash, last = spread.partition("-")
        try:
            if spread == "*":
                begin, end = lowest, highest
            else:
                begin = _number(first, lowest, names)
                end = _number(last, lowest, names) if dash else highest if slash else begin
            every = int(step) if slash else 1
        except ValueError:
            raise ValueError(f"cron's {name} can't be {part}") from None
        if not lowest <= begin <= end <= highest or every < 1:
            raise ValueError(f"cron's {name} can't be {part}: it is from {lowest} to {highest}")
        found |= set(range(begin, end + 1, every))
    return sorted(found)


def _number(word: str, lowest: int, names: Sequence[str]) -> int:
    return lowest + names.index(word.lower()) if word.lower() in names else int(word)


def _check(words: Sequence[str]) -> None:
    """Raise ValueError unless these are the words of one calendar expression of systemd."""
    rest = list(words)
    known = False
    if rest and rest[0].lower() in _SHORTHANDS:
        rest.pop(0)
        known = True
    else:
        if rest and _DAYS.fullmatch(rest[0]):
            rest.pop(0)
            known = True
        for pattern in (_DATE, _TIME):
            if rest and (found := pattern.fullmatch(rest[0])):
                _check_ranges({key: value for key, value in found.groupdict().items() if value and key != "last"})
                rest.pop(0)
                known = True
    zones = zoneinfo.available_timezones()
    # A controller without the list of time zones knows only what they look like.
    if known and rest and _ZONE.fullmatch(rest[0]) and (not zones or rest[0] in zones):
        rest.pop(0)
    if not known or rest:
        wrong = f": {rest[0]} is not understood" if rest else ""
        raise ValueError(
            f"not a calendar expression{wrong}; write for example *-*-* 02:00, Mon..Fri 07:30 Europe/Berlin, hourly, "
            "or cron's 0 2 * * *"
        )


def _check_ranges(parts: dict[str, str]) -> None:
    for name, text in parts.items():
        lowest, highest = _RANGES[name]
        for part in text.split(","):
            spread, slash, step = part.partition("/")
            begin, _, end = spread.partition("..")
            numbers = [int(number) for number in (begin, end) if number.isdigit()]
            if any(not lowest <= number <= highest for number in numbers) or numbers != sorted(numbers):
                raise ValueError(f"the {name} can't be {part}: it is from {lowest} to {highest}")
            if slash and int(step) < 1:
                raise ValueError(f"the {name} can't be {part}")
