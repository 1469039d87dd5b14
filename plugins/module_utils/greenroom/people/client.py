# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Sends requests to an identity server, and tries again while a server is busy or restarts."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from ..common import web

FIRST_TIMEOUT = 5.0
"""Seconds for which a server that has never responded may refuse connections, or ask to try again."""
SILENCE = 20.0
"""Seconds for which a server that has never responded may be silent: its port may belong to another program."""
TIMEOUT = 90.0
"""Seconds for which a server that has responded before may not respond."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
"""Seconds between tries: doubled each time, less a random part, so that clients don't return all at once."""
ANSWER_LIMIT = 64 * 1024 * 1024

Identity = dict[str, Any]


class ServerError(Exception):
    """A request to an identity server failed; the text says why, on one line."""


class UnansweredError(ServerError):
    """There was no response to a request, or one that asks to try again.

    `perhaps_done` is false if the server certainly did not carry out the request. `after` is the seconds that it asks
    to wait. `too_many` says that it has got too many requests.
    """

    def __init__(self, text: str, perhaps_done: bool = True, after: float = 0, too_many: bool = False) -> None:
        super().__init__(text)
        self.perhaps_done = perhaps_done
        self.after = after
        self.too_many = too_many


class RefusedError(ServerError):
    """The server refused a request, with this `status` and `reason`."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(f"{url}: status {status}: {reason}")
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Access:
    """How an admin API is protected: `headers` that it gets (no other server does), and how TLS is set up.

    `network` has the CA and the client certificate. In Keycloak, the client `client_id` of the `realm` gets a token
    with `client_secret`.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    network: web.Network = field(default_factory=web.Network)
    realm: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)


OPEN = Access()
"""An admin API without authentication."""


class Pauses:
    """The pauses between the tries of one request."""

    def __init__(self, seconds: float, deadline: web.Deadline) -> None:
        self._until = deadline.earlier(seconds)
        self._next = FIRST_PAUSE

    def wait(self, error: UnansweredError) -> None:
        """Wait before the next try; raise `error` as a ServerError if the timeout would be exceeded."""
        pause = max(self._next * random.uniform(0.5, 1), error.after)
        if pause >= self._until.left():
            raise ServerError(str(error)) from error
        time.sleep(pause)
        self._next = min(self._next * 2, LONGEST_PAUSE)


class Client:
    """Sends requests for several threads; `requests` counts them.

    `timeout` is the seconds for one request, `deadline` ends all of them. `answered` are the origins that have
    responded before, to this client or to an earlier one. `url` is the API that `access` is for.
    """

    def __init__(self, url: str, timeout: float, deadline: web.Deadline, access: Access) -> None:
        self.url = url.rstrip("/")
        self._access = access
        self.requests = 0
        self.answered: set[str] = set()
        self._timeout = timeout
        self._deadline = deadline
        self._busy, self._busy_until = "", 0.0
        # How far the server's clock is ahead, at least, told by each response. One that was slow to arrive tells less.
        self._ahead: float | None = None
        self._connections = threading.local()
        self._lock = threading.Lock()

    def ask(self, method: str, url: str, data: Any = None, extra: Mapping[str, str] | None = None) -> web.Answer:
        """Send one request and return the response; raises UnansweredError without one, and for status 429 or 5xx.

        `data` is sent as JSON, or as it is if it is an encoded form (bytes).

        While the server asks to wait, no thread sends one.
        """
        with self._lock:
            wait = self._busy_until - time.monotonic()
            if wait > 0:
                raise UnansweredError(self._busy, perhaps_done=False, after=wait)
            self.requests += 1
        if not hasattr(self._connections, "own"):
            self._connections.own = web.Connection(self._access.network)
        form = isinstance(data, bytes)
        body = data if data is None or form else json.dumps(data).encode()
        kind = {"Content-Type": f"application/{'x-www-form-urlencoded' if form else 'json'}"} if body else {}
        headers = {"Accept": "application/json", **kind, **(extra or {})}
        if origin(url) == origin(self.url):
            headers |= self._access.headers
        seconds = self._timeout if origin(url) in self.answered else min(self._timeout, SILENCE)
        try:
            answer: web.Answer = self._connections.own.ask(
                web.Request(method, url, headers, body), self._deadline.earlier(seconds), ANSWER_LIMIT
            )
        except web.WebError as error:
            perhaps_done = not isinstance(error, web.UnreachedError)
            raise UnansweredError(f"{origin(url)}: {error}", perhaps_done) from error
        if answer.status == 429 or answer.status >= 500:
            raise self._refusal(url, answer)
        self.answered.add(origin(url))
        with contextlib.suppress(TypeError, ValueError):  # no such header, or no date in it
            # The header has whole seconds. A server whose clock is ahead makes no difference.
            date = parsedate_to_datetime(answer.header("Date") or "").timestamp()
            ahead = date + 1 - _now()
            self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)
        return answer

    def now(self) -> float:
        """Return a time that is not later than the server's."""
        return _now() + min(0.0, self._ahead or 0.0)

    def _refusal(self, url: str, answer: web.Answer) -> UnansweredError:
        text = f"{origin(url)}: status {answer.status}: {reason(answer)}"
        wait = _seconds(answer.header("Retry-After"))
        if wait:
            text += f" (the server asks to wait {wait:.0f} s)"
            with self._lock:
                self._busy, self._busy_until = text, max(self._busy_until, time.monotonic() + wait)
        # With this header, status 503 means that the server is overloaded; without, a proxy may have lost the response.
        refused = answer.status == 429 or (answer.status == 503 and wait > 0)
        return UnansweredError(text, perhaps_done=not refused, after=wait, too_many=answer.status == 429)

    def pauses(self, url: str) -> Pauses:
        """Return the pauses between the tries of one request to a server."""
        return Pauses(TIMEOUT if origin(url) in self.answered else FIRST_TIMEOUT, self._deadline)

    def retried[T](self, url: str, ask: Callable[[], T]) -> T:
        """Send a request that may be repeated until there is a response; raises ServerError after the timeout."""
        pauses = self.pauses(url)
        while True:
            try:
                return ask()
            except UnansweredError as error:
                pauses.wait(error)


def _now() -> float:
    return datetime.now(UTC).timestamp()


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
        return json.loads(answer.body, parse_int=_whole)
    except ValueError:
        return None


def _whole(text: str) -> float:
    """Return a whole number. Python refuses thousands of digits, but one identity with them must not stop a run."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def reason(answer: web.Answer) -> str:
    """Return the error that a server describes, on one short line."""
    data = content(answer)
    error = data.get("error") if isinstance(data, dict) else None
    return said(error) if isinstance(error, dict) else " ".join(answer.text.split())[:200]


def _seconds(text: str | None) -> float:
    """Return the seconds from now of a Retry-After header, which has seconds or a date; 0 without a valid one."""
    if not text or text.strip().isdecimal():
        return float(text or 0)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # a date without a time zone, or none at all
        return 0
