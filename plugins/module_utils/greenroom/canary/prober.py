# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Probes: requests to both slots through the edge, for times with little public traffic. Also reads metrics pages.

Both slots get requests for the same paths in turn, at a rate that doesn't depend on how fast they respond. Each probe
has a connection of its own and is sent once: if a kept connection ended without a response, nobody could tell an edge
that closed an idle connection from a slot that dropped the request. Standard library only, because this runs on hosts.
"""

from __future__ import annotations

import base64
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..common import web
from . import metrics_page, queries, statistics
from .figures import Figures, empty, note

SLOT_HEADER = "X-Greenroom-Slot"
WORKERS = 16
"""How many probes may wait for a response at once; a slot with so many open requests is clearly too slow."""
BROKEN = 1e-6
"""Probing stops when the failures of the candidate would occur by chance with at most this probability."""
PAGE_SECONDS = 3.0
PAGE_TRIES = 2
"""Without a metrics page, a step has no verdict. A second try keeps a short pause of a host from causing that."""


@dataclass(frozen=True)
class Plan:
    """The requests: `rate` a second to both slots together, for `seconds`, each with a timeout of `timeout` seconds.

    `slots` are {live: name, candidate: name}; `paths` begin with a slash and are appended to `url`, or are URLs of
    other host names of the environment. As soon as the file
    `until` exists, or `over` returns true, probing ends. `services` = {path: service} are counted apart.
    """

    url: str
    slots: Mapping[str, str]
    paths: Sequence[str]
    rate: float
    seconds: float
    timeout: float = 5.0
    network: web.Network = field(default_factory=web.Network)
    username: str = ""
    password: str = field(default="", repr=False)
    until: Sequence[str] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    over: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        """Raise ValueError for values that send no probes, or too many."""
        if not 0 < self.rate <= 100 or not 0 < self.seconds <= 3600 or self.timeout <= 0:
            raise ValueError("rate must be above 0 and at most 100, seconds above 0 and at most 3600, timeout above 0")
        if strange := [path for path in self.paths if not path.startswith(("/", "https://"))]:
            raise ValueError(f"paths to probe must begin with a slash, or with https:// and a name: {strange[0]}")

    def ended(self) -> bool:
        """Whether one of the files `until` exists."""
        return any(map(os.path.exists, self.until))

    def stops(self) -> bool:
        """Whether probing ends before its time."""
        return self.over() or self.ended()

    def wait(self) -> None:
        """Wait as long as probing would take."""
        end = time.monotonic() + self.seconds
        while (left := end - time.monotonic()) > 0 and not self.stops():
            time.sleep(min(1.0, left))

    def headers(self, slot: str) -> dict[str, str]:
        """Return the headers of a probe of `slot`."""
        headers = {SLOT_HEADER: slot, "Accept": "text/html,*/*", "User-Agent": "greenroom-canary"}
        if self.username:
            word = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            headers["Authorization"] = f"Basic {word}"
        return headers


class Prober:
    """Sends probes during `run`; the results are in `figures` and `notes`."""

    def __init__(self, plan: Plan) -> None:
        self.figures: dict[str, Figures] = {"live": empty(), "candidate": empty()}
        self.services: dict[str, dict[str, Figures]] = {
            name: {"live": empty(), "candidate": empty()} for name in plan.services.values()
        }
        self.notes: dict[str, int] = {}
        self.stopped_early = False
        self._plan = plan
        self._lock = threading.Lock()
        self._wanted: queue.Queue[tuple[str, str] | None] = queue.Queue(WORKERS)

    def run(self) -> None:
        """Send probes until the end, or until the candidate is clearly broken."""
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        began = time.monotonic()
        for number in range(int(self._plan.rate * self._plan.seconds)):
            time.sleep(max(0.0, began + number / self._plan.rate - time.monotonic()))
            if self._broken():
                self.stopped_early = True
                break
            if self._plan.stops():
                break
            pair, second = divmod(number, 2)
            # The slots take turns in being first, so that not always the same one finds warm caches.
            side = ("live", "candidate")[(pair + second) % 2]
            try:
                self._wanted.put_nowait((side, self._plan.paths[pair % len(self._plan.paths)]))
            except queue.Full:
                self._say("were not sent, because earlier probes still wait for a response")
        for _worker in workers:
            self._wanted.put(None)
        end = time.monotonic() + 2 * self._plan.timeout
        for worker in workers:
            worker.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        while (job := self._wanted.get()) is not None:
            self._probe(*job)

    def _probe(self, side: str, path: str) -> None:
        """Send one probe, and count its response."""
        url = self._plan.url.rstrip("/") + path if path.startswith("/") else path
        wanted = web.Request("GET", url, self._plan.headers(self._plan.slots[side]))
        began = time.monotonic()
        try:
            answer = web.request(wanted, self._plan.network, web.Deadline(self._plan.timeout))
        except web.UnreachedError as error:
            return self._say(f"did not reach the edge: {error}")
        except web.WebError:
            return self._note(side, path, 0, began, failed=True)
        slot = answer.header(SLOT_HEADER)
        if answer.status >= 500 or slot == self._plan.slots[side]:
            return self._note(side, path, answer.status, began)
        source = slot or "the edge itself"
        return self._say(f"got status {answer.status} from {source}, not from the slot they asked for")

    def _note(self, side: str, path: str, status: int, began: float, failed: bool = False) -> None:
        milliseconds = (time.monotonic() - began) * 1000
        with self._lock:
            own = self._plan.services.get(path)
            note((self.services[own] if own else self.figures)[side], path, status, milliseconds, failed)

    def _say(self, text: str) -> None:
        with self._lock:
            self.notes[text] = self.notes.get(text, 0) + 1

    def _broken(self) -> bool:
        with self._lock:
            every = [self.figures, *self.services.values()]
            own_failed, own, live_failed, live = (
                sum(each[side][name] for each in every)
                for side in ("candidate", "live")
                for name in ("failed", "requests")
            )
        if own_failed < 5 or own_failed * 2 < own:
            return False
        return statistics.more_often(own_failed, own, live_failed, live) <= BROKEN


def pages(targets: Sequence[Mapping[str, Any]]) -> list[metrics_page.Reading | None]:
    """Return the reading of each target's metrics page, None if it doesn't respond."""

    def page(target: Mapping[str, Any]) -> metrics_page.Reading | None:
        for _ in range(PAGE_TRIES):
            with contextlib.suppress(web.WebError, TimeoutError):
                answer = web.request(web.Request("GET", target["url"]), web.Network(), web.Deadline(PAGE_SECONDS))
                if answer.status == 200:
                    return metrics_page.read(answer.text, target["metric"])
        return None

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(page, targets))


def observe(
    plan: Plan, targets: Sequence[Mapping[str, Any]], prometheus: str = "", asked: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Send probes, read the targets' metrics pages before and after, and then ask Prometheus the queries in `asked`.

    Returns {probes: {live, candidate}, services: {service: the same}, watched: {live, candidate}, notes, stopped_early,
    ended, seconds}.
    """
    began, first = time.monotonic(), pages(targets)
    prober = Prober(plan)
    if plan.paths:
        prober.run()
    else:
        plan.wait()
    watched: dict[str, list[dict[str, Any]]] = {"live": [], "candidate": []}
    sides = {slot: side for side, slot in plan.slots.items()}
    for target, before, after in zip(targets, first, pages(targets), strict=True):
        if target["slot"] in sides:
            watched[sides[target["slot"]]].append(metrics_page.compared(target, before, after))
    watched["candidate"] += queries.rows(prometheus, asked)
    return {
        "probes": prober.figures,
        "services": prober.services,
        "watched": watched,
        "notes": [f"{number} probes {text}" for text, number in sorted(prober.notes.items())],
        "stopped_early": prober.stopped_early,
        "ended": plan.ended(),
        "seconds": round(time.monotonic() - began, 1),
    }
