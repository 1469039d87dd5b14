"""The journeys as load, for Locust: with `python -m visitors load`, or with Locust's own options and web pages."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

from locust import HttpUser, events, task
from locust.env import Environment
from locust.exception import StopUser

from visitors.journeys import JOURNEYS
from visitors.pages import Page, kind
from visitors.report import with_verdict
from visitors.schedule import turns
from visitors.settings import Settings
from visitors.verdict import judge
from visitors.visitor import TIMEOUT_SECONDS, Check, VisitError, Visitor, prepare

SETTINGS = Settings.read(Path(os.environ.get("VISITORS_CONFIG", "/etc/visitors/config.json")), os.environ)
PAUSE_SECONDS = (0.5, 2.0)
NUMBERS = itertools.count()
STARTED: set[int] = set()
"""The visitors who have made a request, by number."""


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
    """A Locust user that makes one visit after another, each as one of the synthetic users that are its own."""

    host = SETTINGS.site.url

    def on_start(self) -> None:
        """Take a number, which decides about all visits."""
        self.number = next(NUMBERS)
        self.turns = turns(SETTINGS.habits, SETTINGS.load.users, self.number)
        self.pauses = random.Random(f"{SETTINGS.habits.seed} {self.number}")

    def wait_time(self) -> float:
        """Return the seconds until the next visit."""
        return self.pauses.uniform(*PAUSE_SECONDS)

    @task  # type: ignore[untyped-decorator]
    def visit(self) -> None:
        """Make one journey, in a browser without cookies of the last one."""
        turn = next(self.turns, None)
        if turn is None:
            raise StopUser
        STARTED.add(self.number)
        self.client.cookies.clear()
        prepare(self.client, SETTINGS.site, "load")
        person, chance = SETTINGS.site.users[turn.person], random.Random(turn.seed)
        with contextlib.suppress(VisitError):
            JOURNEYS[turn.journey](LoadVisitor(self.client, SETTINGS.site, person, chance, PAUSE_SECONDS))


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write_verdict(environment: Environment, **_rest: object) -> None:
    """Write the verdict, also into Locust's report. The exit code is 0 even if a threshold was exceeded."""
    total = environment.stats.total
    reasons: Counter[str] = Counter()
    for error in environment.stats.errors.values():
        reasons[str(error.error)] += error.occurrences
    found = judge(
        SETTINGS.load,
        users=len(STARTED),
        requests=total.num_requests,
        failed=total.num_failures,
        p95_ms=total.get_response_time_percentile(0.95) or 0.0,
        failures=reasons,
    )
    if path := os.environ.get("VISITORS_VERDICT"):
        Path(path).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    report = Path(environment.parsed_options.html_file or "") if environment.parsed_options else Path()
    if report.is_file():
        # Locust has written it just before.
        report.write_text(with_verdict(report.read_text(encoding="utf-8"), found), encoding="utf-8")
    environment.process_exit_code = 0
