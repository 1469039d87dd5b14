# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The part of the lock that runs on its host: takes the lock, and renews it on request.

Runs as a separate program on a host that may have nothing but Python (standard library only). The holder sends it over
the connection. It writes JSON lines (`waiting`, `held`, `refused`, `lost` with a holder; `failed`) and reads the words
`renew`, `ended` (with the run's result as JSON) and `release`. It also keeps the history of the runs on this host.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

Holder = dict[str, Any]


def clock() -> float:
    """Return this host's seconds since boot, so that corrections of the time of day don't change a lock's age."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class History:
    """The history of the runs, in the file at `path`: one JSON object on each line; no file if the path is empty.

    A line has the event (`began` or `ended`), its time by this host's clock, and the SHA-256 of the line before it. So
    nobody can change or remove a line without writing all later ones again. A run without an end has crashed, unless it
    has the lock. A full file becomes `path`.1.
    """

    def __init__(self, path: str, full: int = 1 << 20) -> None:
        self.path, self.full = path, full

    def add(self, event: str, entry: Holder) -> None:
        """Append an event. `entry` has the run's `id`."""
        if not self.path:
            return
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        with open(f"{self.path}.guard", "w", encoding="ascii") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            last = self._last_line()
            if os.path.exists(self.path) and os.path.getsize(self.path) > self.full:
                os.rename(self.path, f"{self.path}.1")
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = json.dumps({**entry, "event": event, "at": now, "previous": hashlib.sha256(last).hexdigest()})
            with open(self.path, "ab") as file:
                os.fchmod(file.fileno(), 0o644)
                # A line that a crash left incomplete stays as it is.
                file.write((b"" if last.endswith(b"\n") or not last else b"\n") + line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

    def _last_line(self) -> bytes:
        """Return the last line, with its line break if it has one; nothing if there is no line yet."""
        try:
            with open(self.path, "rb") as file:
                file.seek(max(0, os.path.getsize(self.path) - (1 << 16)))
                lines = file.read().splitlines(keepends=True)
        except FileNotFoundError:
            return b""
        return lines[-1] if lines else b""


class Lock:
    """The lock file at `path`; `me` is its holder, `expires` the seconds after which the lock is free again.

    A run that waits for an operator says so in the file `pause`: {operation: its ID, slot, until}. The file `history`
    has the history of the runs.
    """

    def __init__(self, path: str, me: Holder, expires: float, pause: str = "", history: str = "") -> None:
        self.path, self.me, self.expires, self.pause = path, me, expires, pause
        self.history = History(history)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        with open(f"{self.path}.guard", "w", encoding="ascii") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def holder(self) -> Holder | None:
        """Return the holder of the lock, which may have expired; None if there is none or the file is unreadable."""
        content = _content(self.path)
        return content if content and "id" in content and "renewed" in content else None

    def waits(self, holder: Holder) -> Holder | None:
        """Return what the run of a holder waits for, {slot, until, ...}; None if it goes on by itself."""
        content = _content(self.pause)
        return content if content and content.get("operation") == holder["id"] else None

    def alive(self, holder: Holder | None) -> bool:
        """Whether a holder may still be running. A renewal time in the future is from before a restart."""
        return holder is not None and 0 <= clock() - float(holder["renewed"]) < self.expires

    def take(self) -> Holder | None:
        """Take the lock. Return None, or the holder if another run has the lock."""
        with self._alone():
            other = self.holder()
            if other is not None and other["id"] != self.me["id"] and self.alive(other):
                return other
            self._write()
        return None

    def renew(self) -> bool:
        """Renew the lock. Return whether it is still ours. If not, another run may have run in between."""
        with self._alone():
            holder = self.holder()
            if holder is None or holder["id"] != self.me["id"]:
                return False
            self._write()
        return True

    def _write(self) -> None:
        temporary = f"{self.path}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({**self.me, "renewed": clock()}, file)
        os.rename(temporary, self.path)

    def release(self) -> None:
        """Release the lock, if it is ours."""
        with self._alone():
            holder = self.holder()
            if holder is not None and holder["id"] == self.me["id"]:
                os.unlink(self.path)


def _content(path: str) -> Holder | None:
    """Return the JSON object in a file; None if there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def acquire(lock: Lock, say: Callable[..., None], wait: Callable[[float], bool], poll: float) -> bool:
    """Take the lock, if necessary after a crashed holder's lock expires. Return whether the lock is held.

    A holder that renews its lock meanwhile is running, and the run is refused at once. It checks the lock every `poll`
    seconds; `wait(seconds)` returns False to give up.
    """
    first = lock.holder()
    other = lock.take()
    if other is not None:
        say("waiting", holder=other, seconds=lock.expires)
    while other is not None:
        if first is None or (other["id"], other["renewed"]) != (first["id"], first["renewed"]):
            say("refused", holder=other, waits=lock.waits(other))
            return False
        if not wait(poll):
            return False
        other = lock.take()
    taken = first if first is not None and first["id"] != lock.me["id"] else None
    say("held", took_over=taken)
    return True


def serve(lock: Lock, commands: BinaryIO, say: Callable[..., None], poll: float, again: bool) -> None:
    """Acquire the lock, then follow commands: each line renews it, `release` releases it, the end lets it expire.

    The controller asks for each renewal, because a connection may stay open for hours after its controller lost power.
    `poll`: how often to check a lock that another run holds, in seconds.
    `again`: this run had the lock before its connection broke. It may keep that lock but not take a new one, because
    another run may have run meanwhile.
    """

    def keep() -> bool:
        if not lock.renew():
            say("lost", holder=lock.holder())
            return False
        return True

    def wait(seconds: float) -> bool:
        readable = select.select([commands], [], [], seconds)[0]
        return not readable or commands.readline().strip() == b"renew"

    if again:
        if not keep():
            return
        say("held", took_over=None)
    elif not acquire(lock, say, wait, poll):
        return
    else:
        lock.history.add("began", lock.me)
    for line in iter(commands.readline, b""):
        word, _, rest = line.strip().partition(b" ")
        if word == b"ended":
            lock.history.add("ended", {**json.loads(rest), "id": lock.me["id"]})
        if word == b"release":
            lock.release()
            say("released")
            return
        if not keep():
            return


def main(commands: BinaryIO, order: dict[str, Any]) -> None:
    """Serve one order {path, pause, history, me, expires, poll, again}; `commands` is the unbuffered standard input."""

    def say(event: str, **details: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, **details}) + "\n")
        sys.stdout.flush()

    try:
        lock = Lock(order["path"], order["me"], order["expires"], order.get("pause", ""), order.get("history", ""))
        serve(lock, commands, say, order["poll"], order["again"])
    except OSError as error:
        say("failed", message=str(error))
