# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Sends requests to Ory Kratos, and tries again while a server is busy or restarts."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..common import web

FIRST_TIMEOUT = 5.0
"""Seconds within which a server must respond for the first time."""
TIMEOUT = 90.0
"""Seconds for which a server that has responded before may not respond."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
"""Seconds between tries: doubled each time, less a random part, so that clients don't return all at once."""
ANSWER_LIMIT = 64 * 1024 * 1024

Identity = dict[str, Any]


class KratosError(Exception):
    """A request to Kratos failed; the text says why, on one line."""


class UnansweredError(KratosError):
    """The result of a request is unknown: there was no response, or one that asks to try again.

    `sent` is false if the server certainly did not get the request. `after` is the seconds that it asks to wait.
    """

    def __init__(self, text: str, sent: bool = True, after: float = 0) -> None:
        super().__init__(text)
        self.sent = sent
        self.after = after


class RefusedError(KratosError):
    """The server refused a request, with this `status` and `reason`."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(f"{url}: status {status}: {reason}")
        self.status = status
        self.reason = reason


class Pauses:
    """The pauses between the tries of one request."""

    def __init__(self, seconds: float, deadline: web.Deadline) -> None:
        self._until = deadline.earlier(seconds)
        self._next = FIRST_PAUSE

    def wait(self, error: UnansweredError) -> None:
        """Wait before the next try; raise `error` as a KratosError if the timeout would be exceeded."""
        pause = max(self._next * random.uniform(0.5, 1), error.after)
        if pause >= self._until.left():
            raise KratosError(str(error)) from error
        time.sleep(pause)
        self._next = min(self._next * 2, LONGEST_PAUSE)


class Client:
    """Sends requests for several threads; `requests` counts them.

    `timeout` is the seconds for one request, `deadline` ends all of them.
    """

    def __init__(self, timeout: float, deadline: web.Deadline) -> None:
        self.requests = 0
        self._timeout = timeout
        self._deadline = deadline
        self._answered = False
        self._connections = threading.local()
        self._lock = threading.Lock()

    def ask(self, method: str, url: str, data: Any = None) -> web.Answer:
        """Send one request and return the response; raises UnansweredError without one, and for status 429 or 5xx."""
        with self._lock:
            self.requests += 1
        if not hasattr(self._connections, "own"):
            self._connections.own = web.Connection(web.Network())
        body = None if data is None else json.dumps(data).encode()
        headers = {"Accept": "application/json", **({"Content-Type": "application/json"} if body else {})}
        try:
            answer: web.Answer = self._connections.own.ask(
                web.Request(method, url, headers, body), self._deadline.earlier(self._timeout), ANSWER_LIMIT
            )
        except web.WebError as error:
            sent = not isinstance(error, web.UnreachedError)
            raise UnansweredError(f"{origin(url)}: {error}", sent) from error
        if answer.status == 429 or answer.status >= 500:
            text = f"{origin(url)}: status {answer.status}: {reason(answer)}"
            raise UnansweredError(text, after=_seconds(answer.header("Retry-After")))
        self._answered = True
        return answer

    def pauses(self) -> Pauses:
        """Return the pauses between the tries of one request."""
        return Pauses(TIMEOUT if self._answered else FIRST_TIMEOUT, self._deadline)

    def retried[T](self, ask: Callable[[], T]) -> T:
        """Send a request that may be repeated until there is a response; raises KratosError after the timeout."""
        pauses = self.pauses()
        while True:
            try:
                return ask()
            except UnansweredError as error:
                pauses.wait(error)


def said(error: Mapping[str, Any]) -> str:
    """Return the reason in Kratos' description of an error."""
    return " ".join(str(error.get("reason") or error.get("message") or "no reason given").split())[:300]


def origin(url: str) -> str:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def content(answer: web.Answer) -> Any:
    """Return the JSON of a response, None when it has none."""
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def reason(answer: web.Answer) -> str:
    """Return the error that a server describes, on one short line."""
    data = content(answer)
    error = data.get("error") if isinstance(data, dict) else None
    return said(error) if isinstance(error, dict) else " ".join(answer.text.split())[:200]


def _seconds(text: str | None) -> float:
    """Return the seconds of a Retry-After header, 0 if it is a date."""
    return float(text) if text and text.strip().isdecimal() else 0
