"""Who visits why: the schedule of a day, and the visits of a load. Both depend only on the seed, and on the date."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Habits:
    """Parameters of the schedule."""

    seed: str
    users: int
    """Number of users; the first ones visit more often than the last."""
    journeys: Mapping[str, int]
    """Weights of the journeys."""
    quietest: int = 5
    """Visits in the quietest hour of a day."""
    busiest: int = 10
    """Visits in the busiest hour."""
    busiest_hour: int = 15
    """The busiest hour of a day, in UTC."""


@dataclass(frozen=True)
class Visit:
    """One user's visit, with one login."""

    due: datetime
    person: int
    """The user's index in the list."""
    journey: str
    seed: str
    """Seed of the random choices in the visit, such as the ordered item and pauses."""


def visits(habits: Habits, start: datetime, end: datetime) -> Iterator[Visit]:
    """Yield the visits from `start` (included) to `end` (excluded) in order; both need a time zone."""
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        yield from (visit for visit in _hour(habits, hour) if start <= visit.due < end)
        hour += HOUR


@dataclass(frozen=True)
class Turn:
    """One visit under load."""

    person: int
    """The user's index in the list."""
    journey: str
    seed: str
    """Seed of the random choices in the visit."""


def turns(habits: Habits, concurrent: int, number: int) -> Iterator[Turn]:
    """Yield the visits of one of `concurrent` visitors under load, without end; `number` counts them from 0.

    No other visitor is ever the same user, so nobody waits for a user, and no recovery invalidates another one's code.
    A visitor beyond the number of users makes no visit.
    """
    mine = range(number, habits.users, concurrent) if number < concurrent else ()
    names, weights = zip(*sorted(habits.journeys.items()), strict=True)
    for visit in itertools.count() if mine else ():
        seed = f"{habits.seed} {number} {visit}"
        chance = random.Random(seed)
        yield Turn(chance.choice(mine), chance.choices(names, weights)[0], seed)


def _hour(habits: Habits, hour: datetime) -> list[Visit]:
    """Return all visits of an hour, so that any part of it has the same ones."""
    name = f"{habits.seed} {hour.timestamp():.0f}"
    chance = random.Random(name)
    # From 0 in the quietest hour to 1 in the busiest, twelve hours later.
    tide = (1 + math.cos((hour.hour - habits.busiest_hour) * math.pi / 12)) / 2
    count = habits.quietest + round((habits.busiest - habits.quietest) * tide * chance.uniform(0.8, 1.0))
    names, weights = zip(*sorted(habits.journeys.items()), strict=True)
    moments = sorted(chance.randrange(3600) for _ in range(count))
    return [
        Visit(
            due=hour + timedelta(seconds=moment),
            person=int(habits.users * chance.random() ** 2),
            journey=chance.choices(names, weights)[0],
            seed=f"{name} {number}",
        )
        for number, moment in enumerate(moments)
    ]
