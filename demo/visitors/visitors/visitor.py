"""A synthetic user with a browser."""

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
    """The site did not respond as expected; the message says how, and at which step."""


def prepare(session: requests.Session, site: Site, agent: str) -> None:
    """Configure a session with the site's CA and the edge's password."""
    session.trust_env = False
    session.verify = site.ca_file
    session.headers.update({"Accept": "text/html", "User-Agent": f"greenroom-visitors/{agent}"})
    if site.visitor:
        session.auth = (site.visitor, site.edge_password)


class Visitor:
    """One user's visit: opens pages, submits forms, and counts requests."""

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
        """ID of the last request, as in all logs."""

    def think(self) -> None:
        """Pause as a user who reads or types."""
        time.sleep(self.chance.uniform(*self.pause))

    def open(self, path: str, expected: Check) -> Page:
        """Open a page; raise VisitError unless it is the expected one."""
        return self._send("GET", f"{self.site.url}{path}", None, expected)

    def submit(self, form: Form | None, expected: Check, **values: str) -> Page:
        """Fill in a form and submit it; raise VisitError unless the next page is the expected one."""
        if form is None:
            raise VisitError("the form is missing")
        self.think()
        url = form.action if "://" in form.action else f"{self.site.url}{form.action}"
        return self._send(form.method.upper(), url, {**form.values, **values}, expected)

    def mailbox(self) -> Mailbox:
        """Return this user's mailbox in its current state."""
        try:
            return Mailbox(self.site.mail_url, self.person)
        except MailError as error:
            raise VisitError(str(error)) from None

    def code(self, mailbox: Mailbox) -> str:
        """Return the code from the mail."""
        try:
            return mailbox.code()
        except MailError as error:
            raise VisitError(str(error)) from None

    def _send(self, method: str, url: str, data: dict[str, str] | None, expected: Check) -> Page:
        try:
            answer = self.session.request(method, url, data=data, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise VisitError(f"{method} {kind(url)}: no response ({type(error).__name__})") from None
        return self.judge(method, url, answer, expected)

    def judge(self, method: str, url: str, answer: Any, expected: Check) -> Page:
        """Return the page of a response; raise VisitError unless it is the expected one."""
        step = f"{method} {kind(url)}"
        self.counts["requests"] += 1 + len(answer.history)
        self.request = answer.headers.get("X-Request-Id", self.request)
        for each in (*answer.history, answer):
            if "X-Greenroom-Slot" in each.headers:
                self.slots.add(each.headers["X-Greenroom-Slot"])
        if answer.status_code == 429:
            raise VisitError(f"{step}: status 429: too many requests from this address for the edge")
        if answer.status_code == 0:  # Locust's status for no response
            raise VisitError(f"{step}: no response ({type(answer.error).__name__})")
        if answer.status_code >= 400:
            raise VisitError(f"{step}: status {answer.status_code} at {kind(answer.url or url)}")
        page = Page(answer.url, answer.text)
        if not expected(page):
            raise VisitError(f"{step}: ended at {page.path}, which is not the expected page")
        return page
