"""A few users all day; each visit logs one line of JSON, the audit trail."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime, timedelta

import requests

from .journeys import JOURNEYS
from .schedule import Visit, visits
from .settings import Settings
from .visitor import VisitError, Visitor, prepare

PAUSE_SECONDS = (1.0, 4.0)
MARGIN = timedelta(minutes=2)
"""Visits start at least this long before the end of an interval, so that they end before the next start."""


def span(at: datetime, interval: int, length: timedelta | None) -> tuple[datetime, datetime]:
    """Return start and end of the visits: the interval (in minutes) of `at`, or `length` from its start."""
    start = at.replace(minute=at.minute - at.minute % interval, second=0, microsecond=0)
    return start, start + (length or timedelta(minutes=interval))


def plan(settings: Settings, start: datetime, end: datetime) -> int:
    """Print the scheduled visits."""
    for visit in visits(settings.habits, start, end):
        say({"due": _time(visit.due), "journey": visit.journey, "person": settings.site.users[visit.person]})
    return 0


def run(settings: Settings, start: datetime, end: datetime, wait: bool) -> int:
    """Make the visits from `start` to `end`, on schedule or without waiting; return 0.

    The line of a visit has its error. A failed visit is a fault of the site and not of the simulation.
    """
    made = well = 0
    for visit in visits(settings.habits, start, end):
        if wait:
            time.sleep(max(0.0, (min(visit.due, end - MARGIN) - datetime.now(UTC)).total_seconds()))
        line = make(settings, visit, PAUSE_SECONDS if wait else (0.0, 0.0))
        say(line)
        made += 1
        well += bool(line["ok"])
    say({"from": _time(start), "to": _time(end), "visits": made, "well": well})
    return 0


def make(settings: Settings, visit: Visit, pause: tuple[float, float]) -> dict[str, object]:
    """Make one visit, and return its line."""
    began, problem = datetime.now(UTC), ""
    with requests.Session() as session:
        prepare(session, settings.site, "simulation")
        person = settings.site.users[visit.person]
        visitor = Visitor(session, settings.site, person, random.Random(visit.seed), pause)
        try:
            JOURNEYS[visit.journey](visitor)
        except VisitError as error:
            problem = str(error)
    return {
        "time": _time(began),
        "due": _time(visit.due),
        "journey": visit.journey,
        "person": person,
        "ok": not problem,
        "problem": problem,
        **{
            name: visitor.counts[name]
            for name in ("logins", "mistakes", "recoveries", "payments", "cancellations", "requests")
        },
        "orders": visitor.orders,
        "slots": sorted(visitor.slots),
        "request": visitor.request,
        "seconds": round((datetime.now(UTC) - began).total_seconds(), 3),
    }


def say(line: dict[str, object]) -> None:
    """Print a line of the audit trail."""
    print(json.dumps(line, ensure_ascii=False), flush=True)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
