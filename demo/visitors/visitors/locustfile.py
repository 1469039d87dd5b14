"""The journeys as load, for Locust: `python -m visitors load`, or Locust's own options and pages for a closer look."""

from __future__ import annotations

import json
import os
import queue
import random
from collections import Counter
from pathlib import Path
from typing import Any

from locust import HttpUser, between, events, task
from locust.env import Environment

from visitors.journeys import JOURNEYS
from visitors.pages import Page, kind
from visitors.settings import Settings
from visitors.verdict import judge
from visitors.visitor import TIMEOUT_SECONDS, Check, VisitError, Visitor, prepare

SETTINGS = Settings.read(Path(os.environ.get("VISITORS_CONFIG", "/etc/visitors/config.json")), os.environ)
PAUSE_SECONDS = (0.5, 2.0)
# One person is in one place at a time: a second recovery would make the first one's code worthless.
PEOPLE: queue.SimpleQueue[str] = queue.SimpleQueue()
for each in SETTINGS.site.people:
    PEOPLE.put(each)


class LoadVisitor(Visitor):
    """A visitor whose every request Locust counts, as failed also when the page is not the expected one."""

    def _send(self, method: str, url: str, data: dict[str, str] | None, expected: Check) -> Page:
        options: dict[str, Any] = {"name": kind(url), "catch_response": True, "timeout": TIMEOUT_SECONDS}
        with self.session.request(method, url, data=data, **options) as answer:
            try:
                return self.judge(method, url, answer, expected)
            except VisitError as error:
                answer.failure(str(error))  # type: ignore[attr-defined]  # Locust's own kind of answer
                raise


class Person(HttpUser):  # type: ignore[misc]  # Locust is in the image only
    """Somebody who comes again and again, each time as somebody else who is not there yet."""

    host = SETTINGS.site.url
    wait_time = between(0.5, 2)

    @task  # type: ignore[untyped-decorator]
    def visit(self) -> None:
        """Make one journey, in a browser that knows nothing of the one before."""
        chance = random.Random()
        (name,) = chance.choices(list(SETTINGS.habits.journeys), list(SETTINGS.habits.journeys.values()))
        self.client.cookies.clear()
        prepare(self.client, SETTINGS.site, "load")
        person = PEOPLE.get()
        try:
            JOURNEYS[name](LoadVisitor(self.client, SETTINGS.site, person, chance, PAUSE_SECONDS))
        except VisitError:
            return
        finally:
            PEOPLE.put(person)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write_verdict(environment: Environment, **_rest: object) -> None:
    """Write down what was found; a threshold that was crossed is an answer, too, and ends well."""
    total = environment.stats.total
    reasons: Counter[str] = Counter()
    for error in environment.stats.errors.values():
        reasons[str(error.error)] += error.occurrences
    found = judge(
        SETTINGS.load, total.num_requests, total.num_failures, total.get_response_time_percentile(0.95) or 0.0, reasons
    )
    if path := os.environ.get("VISITORS_VERDICT"):
        Path(path).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    environment.process_exit_code = 0
