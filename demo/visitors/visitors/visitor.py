"""A person with a browser."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import requests

from .mailbox import Mailbox, MailError
from .pages import Form, Page, kind
from .site import Site

TIMEOUT_SECONDS = 30
Check = Callable[[Page], bool]


class VisitError(Exception):
    """The site did something else than a person expects; the message says what, and at which step."""


def prepare(session: requests.Session, site: Site, agent: str) -> None:
    """Let a session trust the site and get past its door."""
    session.trust_env = False
    session.verify = site.ca_file
    session.headers.update({"Accept": "text/html", "User-Agent": f"greenroom-visitors/{agent}"})
    if site.visitor:
        session.auth = (site.visitor, site.edge_password)


class Visitor:
    """One person's visit: opens pages, fills in forms, and keeps count."""

    def __init__(
        self, session: requests.Session, site: Site, person: str, chance: random.Random, pause: tuple[float, float]
    ) -> None:
        self.session = session
        self.site = site
        self.person = person
        self.password = site.password_of(person)
        self.chance = chance
        self.pause = pause
        self.counts: Counter[str] = Counter()
        self.orders: list[str] = []
        self.slots: set[str] = set()
        self.request = ""
        """The id of the last request, as all logs have it."""

    def think(self) -> None:
        """Read a page, or type."""
        time.sleep(self.chance.uniform(*self.pause))

    def open(self, path: str, expected: Check) -> Page:
        """Open a page; raise VisitError unless it is what one expects."""
        return self._send("GET", f"{self.site.url}{path}", None, expected)

    def submit(self, form: Form | None, expected: Check, **values: str) -> Page:
        """Fill in a form and send it."""
        if form is None:
            raise VisitError("the form is missing")
        self.think()
        url = form.action if "://" in form.action else f"{self.site.url}{form.action}"
        return self._send(form.method.upper(), url, {**form.values, **values}, expected)

    def mailbox(self) -> Mailbox:
        """Return this person's mailbox, as it is now."""
        try:
            return Mailbox(self.site.mail_url, self.person)
        except MailError as error:
            raise VisitError(str(error)) from None

    def code(self, mailbox: Mailbox) -> str:
        """Return the code that came by mail."""
        try:
            return mailbox.code()
        except MailError as error:
            raise VisitError(str(error)) from None

    def _send(self, method: str, url: str, data: dict[str, str] | None, expected: Check) -> Page:
        try:
            answer = self.session.request(method, url, data=data, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise VisitError(f"{method} {kind(url)}: no answer ({type(error).__name__})") from None
        return self.judge(method, url, answer, expected)

    def judge(self, method: str, url: str, answer: Any, expected: Check) -> Page:
        """Return the page of an answer, or say what is wrong with it."""
        step = f"{method} {kind(url)}"
        self.counts["requests"] += 1 + len(answer.history)
        self.request = answer.headers.get("X-Request-Id", self.request)
        for each in (*answer.history, answer):
            if "X-Greenroom-Slot" in each.headers:
                self.slots.add(each.headers["X-Greenroom-Slot"])
        if answer.status_code == 429:
            raise VisitError(f"{step}: status 429: too many requests from this address for the edge")
        if answer.status_code == 0:  # Locust's way to say that there was no answer
            raise VisitError(f"{step}: no answer ({type(answer.error).__name__})")
        if answer.status_code >= 400:
            raise VisitError(f"{step}: status {answer.status_code} at {kind(answer.url or url)}")
        page = Page(answer.url, answer.text)
        if not expected(page):
            raise VisitError(f"{step}: ended at {page.path}, which is not what was to come")
        return page
