# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The public traffic of an edge host: figures of each slot from its log, and what the log lacks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from . import edge_workers
from .edge_log import EdgeLog
from .journal import Journal, Reading

Ask = Callable[[str], Mapping[str, str]]
"""Sends a command to all workers of HAProxy; returns {worker: output}, raises SilentError."""
Mark = Mapping[str, Any]
"""How far the log was read: {place: in the journal, dropped: {worker: lines that it had dropped by then}}."""

_BACKEND = re.compile(r'"backend": ?"([^"]*)_(?:blue|green)"')
LOST = "its log no longer goes back to the last reading: the journal was rotated away or vacuumed"
FEW = 0.01
"""So small a fraction of the log lines may be missing: it misses in both slots alike."""


class SilentError(Exception):
    """A worker of HAProxy did not respond."""


class Counts:
    """The figures of both slots, apart for services: `backends` = {backend without its slot: service}."""

    def __init__(self, routes: Sequence[str], backends: Mapping[str, str]) -> None:
        self._backends = backends
        self._rest = EdgeLog(routes)
        self._services = {name: EdgeLog(routes) for name in backends.values()}

    def take(self, line: str) -> None:
        """Add a line of the log."""
        backend = _BACKEND.search(line) if self._services else None
        own = self._backends.get(backend[1]) if backend else None
        (self._services[own] if own else self._rest).take(line)

    def figures(self) -> dict[str, Any]:
        """Return {slots, services}."""
        return {"slots": self._rest.slots(), "services": {name: log.slots() for name, log in self._services.items()}}


def read(
    log: Journal,
    ask: Ask,
    *,
    after: Mark | None = None,
    last: float | None = None,
    interval: float | None = None,
    not_before: str | None = None,
    settle: float = 0.0,
    limit: int = 500000,
    routes: Sequence[str] = (),
    backends: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the result of the module canary_traffic, which describes it and the options. Raises JournalError."""
    gaps: list[str] = []
    waiting: dict[str, int] = {}
    dropped: dict[str, int] = {}
    seconds = 0.0
    counts = Counts(routes, backends or {})
    parts: list[dict[str, Any]] = []
    try:
        if settle:
            waiting = edge_workers.settle(partial(_waiting, ask), settle)
        dropped = {worker: edge_workers.dropped(shown) for worker, shown in ask(edge_workers.INFO).items()}
    except SilentError as error:
        gaps.append(str(error))
    if after is not None:
        if not log.has(after["place"]):
            gaps.append(LOST)
        reading = log.after(after["place"], counts.take, limit)
        before = after["dropped"]
        missing = reading.dropped + sum(max(0, number - before.get(name, 0)) for name, number in dropped.items())
        if missing > FEW * (missing + reading.lines):
            gaps.append(f"dropped {missing} of {missing + reading.lines} log lines")
    elif last is not None:
        now = time.time()
        since = max(now - last, log.begins(), datetime.fromisoformat(not_before).timestamp() if not_before else 0.0)
        seconds = max(0.0, now - since)
        reading = Reading()
        for begin, end in parts_of(now, seconds, interval):
            counts = Counts(routes, backends or {})
            part = log.since(begin, counts.take, limit - reading.lines, None if end == now else end)
            reading = Reading(reading.lines + part.lines, 0, part.place, reading.complete and part.complete)
            parts.append({"seconds": round(end - begin, 1), **counts.figures()})
    else:
        reading = Reading(place=log.end())
    if not reading.complete:
        gaps.append(f"logged more than the {reading.lines} lines that were read")
    return {
        **({"parts": parts} if parts and interval else counts.figures()),
        "mark": {"place": reading.place, "dropped": dropped},
        "lines": reading.lines,
        "seconds": round(seconds, 1),
        "gaps": gaps,
        "waiting": waiting,
    }


def parts_of(now: float, seconds: float, interval: float | None) -> list[tuple[float, float]]:
    """Return (begin, end) of the parts of the last seconds, oldest first: each as long as an interval."""
    length = interval or seconds
    number = max(1, int(seconds / length)) if length else 1
    return [(now - min(seconds, (left + 1) * length), now - left * length) for left in reversed(range(number))]


def _waiting(ask: Ask) -> dict[str, str]:
    """Return {request: slot} of all workers; a request's number is its worker's own."""
    return {
        f"{worker} {name}": slot
        for worker, shown in ask(edge_workers.OPEN).items()
        for name, slot in edge_workers.waiting(shown).items()
    }
