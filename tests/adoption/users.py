# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who uses the adopted programs: somebody who reads feeds, somebody with a calendar, and somebody who only looks."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from bench.common import ROOT

SHARED = "198.18.50.10"
DOMAIN = "acme.greenroom.test"
READER, CALENDAR = f"https://reader.{DOMAIN}", f"https://calendar.{DOMAIN}"
TIMEOUT_SECONDS = 20
# Fewer than the edge's limit of requests for one address.
EVERY_SECONDS = 0.25
CATEGORY = "Read before and after"
EVENT = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Greenroom//Adoption//EN
BEGIN:VEVENT
UID:dress-rehearsal
DTSTAMP:20260101T080000Z
DTSTART:20260102T180000Z
DTEND:20260102T200000Z
SUMMARY:Dress rehearsal
END:VEVENT
END:VCALENDAR
"""
MAKE_CALENDAR = """\
<?xml version="1.0" encoding="utf-8"?>
<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
<D:displayname>Stage</D:displayname></D:prop></D:set></C:mkcalendar>
"""


@contextlib.contextmanager
def names() -> Iterator[None]:
    """Let this process find the environment's public names, which have no DNS entry in the lab."""
    real = socket.getaddrinfo

    def found(host: Any, *words: Any, **options: Any) -> Any:
        return real(SHARED if str(host).endswith(f".{DOMAIN}") else host, *words, **options)

    socket.getaddrinfo = found
    try:
        yield
    finally:
        socket.getaddrinfo = real


class Visitor:
    """Uses the programs; `failures` has what went wrong for the one who looks all the time, out of `asked` requests."""

    def __init__(self, folder: Path, environment: str) -> None:
        self.authority = str(folder / ".access" / environment / "ca.crt")
        self.environment = environment
        self.asked = 0
        self.failures: list[str] = []
        self.slots: set[str] = set()

    def secret(self, path: str) -> str:
        """Return a secret of the environment."""
        command = [sys.executable, "lab/lab", "secret", f"{self.environment}/{path}"]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    def session(self, user: str = "", secret: str = "") -> requests.Session:
        """Return a session that sends a login with each request, if one is named."""
        session = requests.Session()
        # Variables such as REQUESTS_CA_BUNDLE would replace the environment's CA.
        session.trust_env = False
        session.verify = self.authority
        session.auth = (user, self.secret(secret)) if user else None
        return session

    # The feed reader

    def administrator(self) -> requests.Session:
        """Log in to Miniflux as its administrator."""
        session = self.session("visitor", "environment/value/visitor")
        password = self.secret("reader/value/admin")
        opened = session.get(f"{READER}/", timeout=TIMEOUT_SECONDS)
        form = {"username": "admin", "password": password, "csrf": token(opened.text)}
        came = session.post(f"{READER}/login", data=form, timeout=TIMEOUT_SECONDS)
        assert came.ok, came.text
        assert "/logout" in came.text, came.text
        return session

    def reads(self) -> None:
        """The administrator logs in and creates a category."""
        with names():
            session = self.administrator()
            opened = session.get(f"{READER}/category/create", timeout=TIMEOUT_SECONDS)
            form = {"title": CATEGORY, "csrf": token(opened.text)}
            saved = session.post(f"{READER}/category/save", data=form, timeout=TIMEOUT_SECONDS)
            assert CATEGORY in saved.text, saved.text

    def still_reads(self) -> None:
        """The administrator logs in again; the category is there, and both slots have served."""
        with names():
            listed = self.administrator().get(f"{READER}/categories", timeout=TIMEOUT_SECONDS)
        assert CATEGORY in listed.text, listed.text
        assert self.slots == {"blue", "green"}, self.slots

    # The calendar

    def ada(self) -> requests.Session:
        """Return a calendar program's session."""
        return self.session("ada", "calendar/value/ada")

    def writes_her_calendar(self) -> None:
        """Ada creates a calendar with an event, or finds what she has created."""
        with names():
            ada = self.ada()
            made = ada.request("MKCALENDAR", f"{CALENDAR}/ada/stage/", data=MAKE_CALENDAR, timeout=TIMEOUT_SECONDS)
            if made.status_code == 201:
                put = ada.put(f"{CALENDAR}/ada/stage/dress-rehearsal.ics", data=EVENT, timeout=TIMEOUT_SECONDS)
                assert put.status_code == 201, put.text
        self.still_has_her_calendar()

    def still_has_her_calendar(self) -> None:
        """Ada's event is there; nobody sees it without her password, or under the reader's name."""
        event = "/ada/stage/dress-rehearsal.ics"
        with names():
            found = self.ada().get(f"{CALENDAR}{event}", timeout=TIMEOUT_SECONDS)
            stranger = self.session().get(f"{CALENDAR}{event}", timeout=TIMEOUT_SECONDS)
            elsewhere = self.session("visitor", "environment/value/visitor").get(
                f"{READER}{event}", timeout=TIMEOUT_SECONDS
            )
        assert "Dress rehearsal" in found.text, found.text
        assert stranger.status_code == 401, stranger.text
        assert "Dress rehearsal" not in elsewhere.text, elsewhere.text

    # Whoever looks all the time

    @contextlib.contextmanager
    def visiting(self, wanted: bool) -> Iterator[None]:
        """Request the reader's first page continuously, if that is wanted yet."""
        if not wanted:
            yield
            return
        end = threading.Event()
        thread = threading.Thread(target=self._look, args=(end,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _look(self, end: threading.Event) -> None:
        with names():
            session = self.session("visitor", "environment/value/visitor")
            while not end.wait(EVERY_SECONDS):
                self.asked += 1
                try:
                    seen = session.get(f"{READER}/", timeout=TIMEOUT_SECONDS)
                    self.slots.add(seen.headers.get("X-Greenroom-Slot", "none"))
                    if seen.status_code != 200:
                        self.failures.append(f"{time.strftime('%T')} status {seen.status_code}")
                except requests.RequestException as error:
                    self.failures.append(f"{time.strftime('%T')} {error!r}")


def token(text: str) -> str:
    """Return the token of a page's form."""
    found = re.search(r'name="csrf" value="([^"]+)"', text)
    assert found, text
    return found[1]
