"""Who visits when, and what for: it follows from the seed and the date, and from nothing else."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Habits:
    """What people do, on the whole."""

    seed: str
    people: int
    """How many there are; the first ones come more often than the last."""
    journeys: Mapping[str, int]
    """What a visit is for, and how often that is, compared with the others."""
    quietest: int = 5
    """Visits in the quietest hour of a day."""
    busiest: int = 10
    """Visits in the busiest."""
    busiest_hour: int = 15
    """Which hour that is, in UTC."""


@dataclass(frozen=True)
class Visit:
    """One person's visit, which begins with one login."""

    due: datetime
    person: int
    """The person's place in the list of people, from 0."""
    journey: str
    seed: str
    """Decides what is left open: what is ordered, how long somebody reads."""


def visits(habits: Habits, start: datetime, end: datetime) -> Iterator[Visit]:
    """Yield the visits from `start` up to, and without, `end`, as they come; both with a time zone."""
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        yield from (visit for visit in _hour(habits, hour) if start <= visit.due < end)
        hour += HOUR


def _hour(habits: Habits, hour: datetime) -> list[Visit]:
    """Return an hour's visits: the same whichever part of it is asked for."""
    name = f"{habits.seed} {hour.timestamp():.0f}"
    chance = random.Random(name)
    # From 0 in the quietest hour to 1 in the busiest, which is twelve hours away.
    tide = (1 + math.cos((hour.hour - habits.busiest_hour) * math.pi / 12)) / 2
    count = habits.quietest + round((habits.busiest - habits.quietest) * tide * chance.uniform(0.8, 1.0))
    names, weights = zip(*sorted(habits.journeys.items()), strict=True)
    moments = sorted(chance.randrange(3600) for _ in range(count))
    return [
        Visit(
            due=hour + timedelta(seconds=moment),
            person=int(habits.people * chance.random() ** 2),
            journey=chance.choices(names, weights)[0],
            seed=f"{name} {number}",
        )
        for number, moment in enumerate(moments)
    ]
