"""The journeys as load, for Locust: with `python -m visitors load`, or with Locust's own options and web pages."""

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
# Each user is in one visit at a time: a second recovery would invalidate the code of the first.
USERS: queue.SimpleQueue[str] = queue.SimpleQueue()
for each in SETTINGS.site.users:
    USERS.put(each)


class LoadVisitor(Visitor):
    """A visitor whose requests Locust counts, as failed even if only the page is not the expected one."""

    def _send(self, method: str, url: str, data: dict[str, str] | None, expected: Check) -> Page:
        options: dict[str, Any] = {"name": kind(url), "catch_response": True, "timeout": TIMEOUT_SECONDS}
        with self.session.request(method, url, data=data, **options) as answer:
            try:
                return self.judge(method, url, answer, expected)
            except VisitError as error:
                answer.failure(str(error))  # type: ignore[attr-defined]  # Locust's own response class
                raise


class Person(HttpUser):  # type: ignore[misc]  # Locust is in the image only
    """A Locust user that makes one visit after another, each as a synthetic user without another visit."""

    host = SETTINGS.site.url
    wait_time = between(0.5, 2)

    @task  # type: ignore[untyped-decorator]
    def visit(self) -> None:
        """Make one journey, in a browser without cookies of the last one."""
        chance = random.Random()
        (name,) = chance.choices(list(SETTINGS.habits.journeys), list(SETTINGS.habits.journeys.values()))
        self.client.cookies.clear()
        prepare(self.client, SETTINGS.site, "load")
        person = USERS.get()
        try:
            JOURNEYS[name](LoadVisitor(self.client, SETTINGS.site, person, chance, PAUSE_SECONDS))
        except VisitError:
            return
        finally:
            USERS.put(person)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write_verdict(environment: Environment, **_rest: object) -> None:
    """Write the verdict. The exit code is 0 even if a threshold was exceeded."""
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
