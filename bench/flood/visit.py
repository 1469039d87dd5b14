# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A visitor: sends requests on schedule, in turn on a kept and on a new connection, and prints the response times.

Standard library only: it runs on a host of the environment. Its input is a JSON object: address, port, source (its own
address, "" for any), name, ca, authorization, path, requests, every (s). It prints {kept, new: [microseconds, …],
failures: [why, …]}. A time begins when the request is due, so one slow response counts for those that wait for it, too.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import time
from typing import Any

TIMEOUT = 30
WARM_UP = 20
"""Requests that don't count."""


class Visitor:
    """A client of the edge."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.context = ssl.create_default_context(cafile=settings["ca"])
        self.kept: http.client.HTTPSConnection | None = None

    def connect(self) -> http.client.HTTPSConnection:
        """Open a connection to the edge with the public name."""
        name = self.settings["name"]
        connection = http.client.HTTPSConnection(name, timeout=TIMEOUT, context=self.context)
        server, source = (self.settings["address"], self.settings["port"]), (self.settings["source"], 0)
        plain = socket.create_connection(server, TIMEOUT, source)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = self.context.wrap_socket(plain, server_hostname=name)
        return connection

    def ask(self, keep: bool) -> str:
        """Send a request; return why it failed, or ""."""
        connection = None
        try:
            connection = (keep and self.kept) or self.connect()
            connection.request("GET", self.settings["path"], headers={"Authorization": self.settings["authorization"]})
            answer = connection.getresponse()
            answer.read()
            why = "" if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            why = repr(error)
        usable = connection is not None and not why
        if keep:
            self.kept = connection if usable else None
        if connection is not None and not (keep and usable):
            connection.close()
        return why


def main() -> None:
    """Send the requests, and print the times."""
    settings = json.load(sys.stdin)
    visitor = Visitor(settings)
    found: dict[str, list[Any]] = {"kept": [], "new": [], "failures": []}
    began = time.perf_counter()
    for number in range(WARM_UP + settings["requests"]):
        due = began + number * settings["every"]
        time.sleep(max(0.0, due - time.perf_counter()))
        keep = number % 2 == 0
        why = visitor.ask(keep)
        if why:
            found["failures"].append(why)
        if number >= WARM_UP:
            found["kept" if keep else "new"].append(int((time.perf_counter() - due) * 1_000_000))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
