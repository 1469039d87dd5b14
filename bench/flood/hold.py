# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tries to hold many silent connections to one address, and opens those again that the server closes.

Standard library only: it runs on a host of the environment. The first line of its input is a JSON object: address,
port, source (its own address, "" for any), count, rate (attempts per second), longest (s). It prints `holding` once it
has tried `count` connections. It ends when its input does, or after `longest`, and prints {tried, closed, held: how
many connections at the same time lasted for a second}.
"""

from __future__ import annotations

import errno
import json
import resource
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

SPARE = 100
"""Open files for other than connections."""
TICK = 0.05
LASTING = 1.0
"""Seconds after which a connection counts as held. The kernel accepts some that the server closes at once."""


@dataclass
class Counts:
    """What became of the connections."""

    tried: int = 0
    closed: int = 0
    held: int = 0


class Flood:
    """The connections to one server."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.server = (settings["address"], settings["port"])
        self.source = (settings["source"], 0)
        self.counts = Counts()
        self.open: dict[int, socket.socket] = {}
        self.since: dict[int, float] = {}
        self.counted = 0.0
        self.poll = select.epoll()

    def connect(self) -> None:
        """Begin a connection."""
        self.counts.tried += 1
        channel = socket.socket()
        channel.setblocking(False)
        channel.bind(self.source)
        if channel.connect_ex(self.server) not in (0, errno.EINPROGRESS):
            self.counts.closed += 1
            channel.close()
            return
        self.open[channel.fileno()] = channel
        self.poll.register(channel, select.EPOLLOUT)

    def look(self) -> None:
        """Find the connections that the server has accepted or closed since the last time."""
        for number, event in self.poll.poll(TICK, len(self.open) + 1):
            if event == select.EPOLLOUT:
                self.since[number] = time.monotonic()
                self.poll.modify(number, select.EPOLLIN | select.EPOLLRDHUP)
            else:
                self.since.pop(number, None)
                self.counts.closed += 1
                self.open.pop(number).close()
        if (now := time.monotonic()) > self.counted + LASTING:
            self.counted = now
            lasting = sum(began <= now - LASTING for began in self.since.values())
            self.counts.held = max(self.counts.held, lasting)

    def close(self) -> None:
        """End all connections."""
        for channel in self.open.values():
            channel.close()


def main() -> None:
    """Hold connections until the input ends, and print the counts."""
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, settings["count"] + SPARE), hard))
    flood = Flood(settings)
    began, told = time.monotonic(), False
    while (passed := time.monotonic() - began) < settings["longest"] and not select.select([sys.stdin], [], [], 0)[0]:
        # However fast the server closes them.
        most = int(passed * settings["rate"])
        while flood.counts.tried < most and len(flood.open) < settings["count"]:
            flood.connect()
        flood.look()
        if not told and flood.counts.tried >= settings["count"]:
            print("holding", flush=True)
            told = True
    flood.close()
    print(json.dumps(asdict(flood.counts)))


if __name__ == "__main__":
    main()
