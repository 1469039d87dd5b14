# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A simulated edge host: its clock, the requests that are open, and HAProxy's lines in its journal.

It is read by the code that reads real edge hosts (`canary.traffic`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from plugins.module_utils.greenroom.canary import edge_workers, traffic
from plugins.module_utils.greenroom.canary.journal import Journal

PAUSE = 5.0
"""How often the end of a step looks at open requests, in simulated seconds."""
VACUUMED, DROPPED, SUPPRESSED = "vacuumed", "dropped", "suppressed"
LOSSES = (VACUUMED, DROPPED, SUPPRESSED)
"""How lines get lost: the journal is too small, HAProxy drops half of them, or journald does."""
WORKER = "100"
OPEN = """\
0x7f2485682c00: [29/Nov/2026:13:48:22.648462] id={number} proto=tcpv4 source=127.0.0.1:34246
  flags=0xc4a, conn_retries=0, conn_exp=<NEVER> conn_et=0x000 srv_conn=0x7f2486a68000, pend_pos=(nil) waiting=0 epoch=0
  frontend=public (id=4 mode=http), listener=? (id=1) addr=127.0.0.1:443
  backend=portal_http_{slot} (id=9 mode=http) addr=127.0.0.1:53386
  server=app1 (id=1) addr=127.18.10.21:17001
  txn=0x7f2485c77000 flags=0x3000 meth=1 status=-1 req.st=MSG_DONE rsp.st=MSG_RPBEFORE req.f=0x4c rsp.f=0x00
"""


@dataclass(frozen=True)
class Answer:
    """What HAProxy logs of a response: `milliseconds` until it began, and how it ended (`termination`).

    `nowhere`: the slot has no route for the path, so the edge itself refused the request.
    """

    status: int
    milliseconds: float
    termination: str = "--"
    nowhere: bool = False


@dataclass(frozen=True)
class Sender:
    """Who sent a request, as in the log: `group` is empty outside a canary."""

    address: str
    group: str


def line(slot: str, name: str, answer: Answer, sender: Sender) -> str:
    """Return a line of the edge's log about a request to the route `name`."""
    method, path = name.split(" ")
    backend, server = ("nowhere", "<NOSRV>") if answer.nowhere else (f"portal_http_{slot}", "app1")
    return (
        f'{{"client":"{sender.address}","group":"{sender.group}","method":"{method}","path":"{path}",'
        f'"status":{answer.status},"slot":"{slot}","chosen":"{"share" if sender.group else "live"}",'
        f'"backend":"{backend}","server":"{server}","ms":{answer.milliseconds:.0f},'
        f'"termination":"{answer.termination}"}}'
    )


@dataclass(frozen=True)
class Waiting:
    """A request without a response: since when, until when the edge waits, and the line that it then logs."""

    slot: str
    since: float
    until: float
    line: str


class Edge(Journal):
    """An edge host and its clock, `now` in seconds. `loss` is how it loses log lines, empty if it loses none."""

    def __init__(self) -> None:
        super().__init__("journalctl", "haproxy")
        self.now = 1e6
        self.loss = ""
        # Another program's entry: no journal is empty.
        self._entries: list[tuple[float, str]] = [(self.now, "")]
        self._oldest = 0
        """The number of the first entry that the journal still has. A place is such a number."""
        self._open: dict[int, Waiting] = {}
        self._opened = 0
        self._logged = 0
        self._dropped = 0

    # What happens on the host.

    def log(self, text: str, at: float) -> None:
        """Write a line of HAProxy to the journal, unless it gets lost."""
        if self.loss in (DROPPED, SUPPRESSED):
            self._logged += 1
            if self._logged % 2:
                self._dropped += 1
                return
        self._entries.append((at, text))

    def wait(self, request: Waiting) -> None:
        """Begin a request whose response does not come."""
        self._open[self._opened] = request
        self._opened += 1

    # The clock: what `time` is for the code that reads.

    def time(self) -> float:
        """Return the time."""
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        """Let time pass: the edge gives up requests that waited too long, and logs them."""
        self.now += seconds
        for number, request in list(self._open.items()):
            if request.until <= self.now:
                del self._open[number]
                self.log(request.line, request.until)

    # What the host says.

    def read(self, **options: Any) -> dict[str, Any]:
        """Return the result of canary_traffic with these options."""
        if self.loss == VACUUMED:
            self._oldest += len(self._entries)
            self._entries = [(self.now, "")]
        with (
            patch.object(traffic, "time", self),
            patch.object(edge_workers, "time", self),
            patch.object(edge_workers, "PAUSE", PAUSE),
        ):
            result = traffic.read(self, self._ask, **options)
        # Nobody reads earlier lines again.
        read = int(result["mark"]["place"]) - self._oldest
        self._oldest, self._entries = self._oldest + read, self._entries[read:]
        return result

    def end(self) -> str:
        """Return the place behind the newest entry."""
        return str(self._oldest + len(self._entries) - 1)

    def has(self, place: str) -> bool:
        """Whether the journal still has the entry at a place."""
        return int(place) >= self._oldest

    def begins(self) -> float:
        """Return the time of the oldest entry."""
        return self._entries[0][0]

    def _lines(self, words: list[str]) -> Iterator[str]:
        given = dict(word.partition("=")[::2] for word in words)
        first = int(given.get("--after-cursor", -1)) + 1
        since, until = float(given.get("--since", "@0")[1:]), float(given.get("--until", "@inf")[1:])
        for at, text in self._entries[max(0, first - self._oldest) :]:
            if text and since <= at <= until:
                yield text
        if self.loss == SUPPRESSED:
            yield f"Suppressed {self._dropped} messages from haproxy.service"
            self._dropped = 0
        yield f"-- cursor: {self.end()}\n"

    def _ask(self, command: str) -> Mapping[str, str]:
        if command == edge_workers.INFO:
            return {WORKER: f"Name: HAProxy\nDroppedLogs: {self._dropped if self.loss == DROPPED else 0}\n"}
        shown = (
            OPEN.format(number=number, slot=request.slot)
            for number, request in self._open.items()
            if self.now - request.since > 1
        )
        return {WORKER: "".join(shown)}
