# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The time on an edge host, which decides when an operation ends. It can't be set back while the host is up."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from datetime import UTC, datetime

BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class Clock:
    """A moment: `wall` in seconds since 1970, and `uptime` in seconds since the boot with the ID `boot`.

    The wall clock may be set back or forward. The uptime only grows, but means nothing after a reboot. Without a boot
    ID (""), only the wall clock counts.
    """

    wall: float
    uptime: float = 0.0
    boot: str = ""

    @classmethod
    def now(cls) -> Clock:
        """Read both clocks."""
        return cls(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), _boot())

    def __add__(self, seconds: float) -> Clock:
        """Return the moment some seconds later."""
        return Clock(self.wall + seconds, self.uptime + seconds, self.boot)

    @property
    def text(self) -> str:
        """The wall clock's time (UTC, ISO 8601)."""
        return utc(self.wall)


def utc(wall: float) -> str:
    """Return seconds since 1970 as UTC in ISO 8601."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@functools.cache
def _boot() -> str:
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
