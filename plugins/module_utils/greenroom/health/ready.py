# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Wait until the containers of a slot are ready on this host, or until one of them won't be.

Each container is checked at once and then again and again. Meanwhile, systemd says whether its program keeps ending.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..common.web import Deadline
from ..tree.changes import Run
from ..tree.files import TreeError
from ..tree.systemd import Status, Systemd
from .check import HealthCheck, Unmet

HOST = "127.0.0.1"
ENDS = 3
"""A program that has ended so often meanwhile won't become ready."""
POLL_SECONDS = 0.5
PAUSES = (0.1, 0.2, 0.3, 0.5, 1.0)
"""Seconds between tries; the last one repeats. Short at first, because a run waits for the answer."""
AT_ONCE = 8
"""Checks that run at the same time: those in containers start a process each."""
JOURNAL_LINES = 10


@dataclass(frozen=True)
class Container:
    """A container of a slot; `seconds` is how long it may take."""

    name: str
    check: HealthCheck
    seconds: float

    @property
    def unit(self) -> str:
        """The unit that runs it."""
        return f"{self.name}.service"


@dataclass
class Outcome:
    """Whether a container became ready; if not, why.

    Secrets may be in `output`, what the command of its check has said, and in the last lines of its unit's `journal`.
    """

    unit: str
    ready: bool = False
    reason: str = ""
    output: str = ""
    journal: list[str] = field(default_factory=list)


class _Candidate:
    """A container that is checked, and what systemd says of its unit meanwhile."""

    def __init__(self, container: Container, gate: threading.Semaphore) -> None:
        self.container = container
        self.over = threading.Event()
        self._gate = gate
        self._deadline = Deadline(container.seconds)
        self._ready = False
        self._last = Unmet("no answer yet")
        self._before: int | None = None
        self._end = ""

    def check(self) -> None:
        """Check the container until it is ready, or until there is an outcome."""
        tries = 0
        while not self.over.is_set():
            with self._gate:
                unmet = self.container.check.unmet(HOST, self.container.name, self._deadline)
            if not unmet:
                self._ready = True
                self.over.set()
            # If the deadline interrupted this try, the one before says more.
            elif self._deadline.left() > 0 or not tries:
                self._last = unmet
            self.over.wait(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    def outcome(self, status: Status | None, early: float = 0) -> Outcome | None:
        """Return the outcome as soon as there is one; `status` is that of the unit, None if systemd didn't say it.

        The time may be over some seconds `early`.
        """
        unit, seconds = self.container.unit, self.container.seconds
        if self._ready:
            return Outcome(unit, ready=True)
        if status and (reason := self._given_up(status)):
            return Outcome(unit, reason=reason)
        if self._deadline.left() > early:
            return None
        return Outcome(unit, reason=f"not ready after {seconds:g} s: {self._last.reason}", output=self._last.output)

    def _given_up(self, now: Status) -> str:
        """Return why the program won't become ready, or ""."""
        if now.active in ("failed", "inactive") and not now.restarting:
            return f"its unit doesn't run ({now})"
        self._end = now.end or self._end
        # A start by hand begins systemd's count again.
        self._before = now.restarts if self._before is None else min(self._before, now.restarts)
        ends = now.restarts - self._before + now.restarting
        return (
            f"its program ended {ends} times, the last time with {self._end or 'an unknown status'}"
            if ends >= ENDS
            else ""
        )


class Wait:
    """A wait for containers. `run` takes a command and returns (code, stdout, stderr)."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._systemd = Systemd(run)

    def outcomes(self, containers: Sequence[Container]) -> list[Outcome]:
        """Wait until each container is ready, or one of them won't be; return the outcomes that there are."""
        gate = threading.BoundedSemaphore(AT_ONCE)
        waiting = {container.unit: _Candidate(container, gate) for container in containers}
        found: list[Outcome] = []
        for candidate in waiting.values():
            # A check that hangs can't keep this process from ending.
            threading.Thread(target=candidate.check, daemon=True).start()
        while waiting and all(outcome.ready for outcome in found):
            for candidate in list(waiting.values())[:1]:
                candidate.over.wait(POLL_SECONDS)
            found += self._decided(waiting)
        # Others whose time is about to be over are named, too.
        found += self._decided(waiting, early=POLL_SECONDS)
        for candidate in waiting.values():
            candidate.over.set()
        self._add_journals([outcome for outcome in found if not outcome.ready])
        return found

    def _decided(self, waiting: dict[str, _Candidate], early: float = 0) -> Iterator[Outcome]:
        """Take the containers with an outcome out of `waiting`, and yield their outcomes."""
        states = self._show(list(waiting))
        for unit, candidate in list(waiting.items()):
            if outcome := candidate.outcome(states.get(unit), early):
                del waiting[unit]
                yield outcome

    def _show(self, units: Sequence[str]) -> dict[str, Status]:
        try:
            return self._systemd.show(units)
        except TreeError:
            # systemd is busy. The checks go on.
            return {}

    def _add_journals(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            self._run(["journalctl", "--sync"])
        for outcome in outcomes:
            words = ["--quiet", "--no-pager", "--output=cat", f"--lines={JOURNAL_LINES}", f"--unit={outcome.unit}"]
            said = self._run(["journalctl", *words])[1]
            outcome.journal = said.encode(errors="surrogateescape").decode(errors="replace").splitlines()
