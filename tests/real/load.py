"""Open-loop load on an edge host: requests are sent on schedule, even if earlier ones had no response.

Standard library only: it runs on a host of the environment. The first line of its input is a JSON object: address,
name, ca, authorization, rate (requests per second), run (prefix of the request IDs), longest (s). It ends when its
input does, or after `longest`, and prints {sent, answered: {id: slot}, lost: {id: why}}. Every second request uses a
kept-alive connection, the others open a new one. No request is repeated: without a response, it is lost.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import json
import queue
import socket
import ssl
import sys
import threading
import time
from typing import Any

WORKERS = 64
# Seconds after which an idle connection isn't reused. The edge closes it after a minute, and a request at that moment
# would be lost without a fault. Slow responses lead to more connections than are needed later, so some become idle.
LONGEST_IDLE = 30.0


class Load:
    """The requests of one run."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.context = ssl.create_default_context(cafile=settings["ca"])
        self.headers = {"Authorization": settings["authorization"]}
        self.due: queue.Queue[int | None] = queue.Queue()
        self.idle: collections.deque[tuple[float, http.client.HTTPSConnection]] = collections.deque()
        self.answered: dict[str, str] = {}
        self.lost: dict[str, str] = {}

    def connect(self) -> http.client.HTTPSConnection:
        """Open a connection to the edge with the public name."""
        connection = http.client.HTTPSConnection(self.settings["name"], timeout=30, context=self.context)
        plain = socket.create_connection((self.settings["address"], 443), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = self.context.wrap_socket(plain, server_hostname=self.settings["name"])
        return connection

    def kept(self) -> http.client.HTTPSConnection:
        """Return the connection that was used last, or a new one if that was idle for too long."""
        with contextlib.suppress(IndexError):
            used, connection = self.idle.pop()
            if time.monotonic() - used < LONGEST_IDLE:
                return connection
            connection.close()
        return self.connect()

    def ask(self, number: int) -> None:
        """Send one request and record its result."""
        name = f"{self.settings['run']}-{number}"
        keep = number % 2 == 0
        connection = None
        try:
            connection = self.kept() if keep else self.connect()
            connection.request("GET", f"/ping?id={name}", headers=self.headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200 and json.loads(body)["id"] == name:
                self.answered[name] = answer.headers.get("X-Greenroom-Slot", "none")
            else:
                self.lost[name] = f"status {answer.status}"
            if keep and not answer.will_close:
                self.idle.append((time.monotonic(), connection))
                return
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.lost[name] = repr(error)
        if connection is not None:
            connection.close()

    def work(self) -> None:
        """Send requests from the queue until its end."""
        while (number := self.due.get()) is not None:
            self.ask(number)

    def run(self, end: threading.Event) -> dict[str, Any]:
        """Send requests at the rate until `end` is set; return the results."""
        workers = [threading.Thread(target=self.work) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        start, number = time.monotonic(), 0
        while not end.is_set() and time.monotonic() < start + self.settings["longest"]:
            self.due.put(number)
            number += 1
            time.sleep(max(0.0, start + number / self.settings["rate"] - time.monotonic()))
        for _ in workers:
            self.due.put(None)
        for worker in workers:
            worker.join()
        return {"sent": number, "answered": self.answered, "lost": self.lost}


def main() -> None:
    """Read the settings, load the edge until the input ends, print the results."""
    load = Load(json.loads(sys.stdin.readline()))
    end = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        end.set()

    threading.Thread(target=wait, daemon=True).start()
    json.dump(load.run(end), sys.stdout)


if __name__ == "__main__":
    main()
