# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""HAProxy's lines in the journal of an edge host, from a place that an earlier reading has marked.

A place is a cursor. So no clock decides what is read, neither the controller's nor a host's that is set back, and the
journal tells whether it still has all that followed.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SECONDS = 60
"""A reading ends after this time, complete or not."""
_CURSOR = "-- cursor: "
# journald's own message about lines that it dropped, because a unit logged too many of them.
_SUPPRESSED = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e"
_NUMBER = re.compile(r"Suppressed (\d+) messages from haproxy\.service")


class JournalError(Exception):
    """The journal could not be read."""


@dataclass
class Reading:
    """A reading of the journal: how many `lines` it had, how many journald `dropped`, and the place at its end.

    It is not `complete` if there were more lines than it may have, or it took too long.
    """

    lines: int = 0
    dropped: int = 0
    place: str = ""
    complete: bool = True


class Journal:
    """The journal of this host; `program` is the path of journalctl."""

    def __init__(self, program: str, identifier: str) -> None:
        self._program = program
        self._identifier = identifier

    def end(self) -> str:
        """Return the place behind the newest entry, empty in an empty journal."""
        lines = self._output("--lines=1", "--output=cat", "--show-cursor").splitlines()
        return lines[-1].removeprefix(_CURSOR) if lines else ""

    def has(self, place: str) -> bool:
        """Whether the journal still has the entry at a place, and so all that followed it."""
        return not place or self._first(f"--cursor={place}").get("__CURSOR") == place

    def begins(self) -> float:
        """Return the time of the oldest entry in seconds since 1970, now for an empty journal."""
        moment = self._first().get("__REALTIME_TIMESTAMP")
        return int(moment) / 1e6 if moment else time.time()

    def after(self, place: str, take: Callable[[str], object], limit: int) -> Reading:
        """Give each of HAProxy's lines after a place to `take`, `limit` lines at most."""
        return self._read([f"--after-cursor={place}"] if place else [], take, limit)

    def since(self, moment: float, take: Callable[[str], object], limit: int, until: float | None = None) -> Reading:
        """Give each of HAProxy's lines since a time (seconds since 1970) to `take`, `limit` lines at most.

        Without a time `until` which to read, all lines are read.
        """
        words = [f"--since=@{moment:.3f}", *([] if until is None else [f"--until=@{until:.3f}"])]
        return self._read(words, take, limit)

    def _read(self, words: list[str], take: Callable[[str], object], limit: int) -> Reading:
        reading, give_up = Reading(), time.monotonic() + SECONDS
        for line in self._lines([*words, f"SYSLOG_IDENTIFIER={self._identifier}", "+", _SUPPRESSED]):
            if line.startswith(_CURSOR):
                reading.place = line.removeprefix(_CURSOR).rstrip("\n")
            elif suppressed := _NUMBER.match(line):
                reading.dropped += int(suppressed[1])
            elif reading.lines >= limit or time.monotonic() > give_up:
                reading.complete = False
                break
            else:
                reading.lines += 1
                take(line)
        reading.place = reading.place or self.end()
        return reading

    def _lines(self, words: list[str]) -> Iterator[str]:
        """Yield line by line, because the whole output may be larger than the memory."""
        command = self._command("--output=cat", "--show-cursor", *words)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
        ) as journal:
            try:
                yield from journal.stdout or ()
            except GeneratorExit:
                journal.kill()
                raise
        if journal.returncode:
            raise JournalError(f"can't read the journal: {command[0]} failed with exit code {journal.returncode}")

    def _first(self, *words: str) -> dict[str, str]:
        """Return the first entry, without its message, or {}."""
        text = self._output("--lines=+1", "--output=json", "--output-fields=_BOOT_ID", *words)
        return dict(json.loads(text)) if text else {}

    def _output(self, *words: str) -> str:
        done = subprocess.run(
            self._command(*words), capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
        if done.returncode:
            raise JournalError(f"can't read the journal: {done.args[0]} failed with exit code {done.returncode}")
        return done.stdout.strip()

    def _command(self, *words: str) -> list[str]:
        return [self._program, "--quiet", "--no-pager", "--system", *words]
