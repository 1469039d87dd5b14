# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The end of a run's lock on the host: takes it, and renews it whenever it is told to.

Runs as a program of its own on a host that may have nothing but Python (standard library only). It is sent over the
connection by `lock_holder`, speaks JSON lines (`waiting`, `held`, `refused`, `lost` with a holder; `failed`) and reads
the words `renew` and `release`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

Holder = dict[str, Any]
POLL = 0.5


def clock() -> float:
    """Return this host's seconds since boot: no correction of the time of day makes a lock older or younger."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lock:
    """The lock file at `path`; `me` is the holder written into it, `expires` the seconds after which it is nobody's."""

    def __init__(self, path: str, me: Holder, expires: float) -> None:
        self.path, self.me, self.expires = path, me, expires

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        with open(f"{self.path}.guard", "w", encoding="ascii") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def holder(self) -> Holder | None:
        """Return who holds the lock; None when nobody does or the file is unreadable. May be expired."""
        try:
            with open(self.path, encoding="utf-8") as file:
                content = json.load(file)
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) and "id" in content and "renewed" in content else None

    def alive(self, holder: Holder | None) -> bool:
        """Whether a holder may still be at work. A renewal in the future is from before a restart."""
        return holder is not None and 0 <= clock() - float(holder["renewed"]) < self.expires

    def take(self) -> Holder | None:
        """Take the lock. Return None, or the living holder that has it instead."""
        with self._alone():
            other = self.holder()
            if other is not None and other["id"] != self.me["id"] and self.alive(other):
                return other
            self._write()
        return None

    def renew(self) -> bool:
        """Renew the lock. Return whether it is still ours: who finds another's, or none, was not alone in between."""
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
        """Give the lock up, if it is ours."""
        with self._alone():
            holder = self.holder()
            if holder is not None and holder["id"] == self.me["id"]:
                os.unlink(self.path)


def acquire(lock: Lock, say: Callable[..., None], wait: Callable[[float], bool]) -> bool:
    """Take the lock, if need be after a dead holder's time is over. Return whether it is held.

    A holder that renews while we look is alive: refused at once. `wait(seconds)` returns False to give up.
    """
    first = lock.holder()
    other = lock.take()
    if other is not None:
        say("waiting", holder=other, seconds=lock.expires)
    while other is not None:
        if first is None or (other["id"], other["renewed"]) != (first["id"], first["renewed"]):
            say("refused", holder=other)
            return False
        if not wait(POLL):
            return False
        other = lock.take()
    taken = first if first is not None and first["id"] != lock.me["id"] else None
    say("held", took_over=taken)
    return True


def serve(lock: Lock, commands: BinaryIO, say: Callable[..., None], again: bool = False) -> None:
    """Acquire, then obey: each line renews, `release` gives the lock up, the end leaves it to expire.

    Renewal is asked for, rather than done until the connection ends, because the connection of a controller that lost
    its power ends hours later. `again`: this run had the lock before its connection broke; it may go on with that one,
    and never takes a new one, because others may have been at work meanwhile.
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
    elif not acquire(lock, say, wait):
        return
    for line in iter(commands.readline, b""):
        if line.strip() == b"release":
            lock.release()
            say("released")
            return
        if not keep():
            return


def main(commands: BinaryIO, order: dict[str, Any]) -> None:
    """Serve one order {path, me, expires, again} that came over `commands` (unbuffered)."""

    def say(event: str, **details: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, **details}) + "\n")
        sys.stdout.flush()

    try:
        serve(Lock(order["path"], order["me"], order["expires"]), commands, say, order["again"])
    except OSError as error:
        say("failed", message=str(error))
