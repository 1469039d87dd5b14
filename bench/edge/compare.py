# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Sends the same request to two servers in turn, and prints the response times.

Standard library only: it runs on the edge host. Its input is a JSON object: ports {name: port}, public_name, ca,
authorization, path, pairs, keep (one connection for all requests, or one each). It prints {name: [microseconds, …]}.
"""

from __future__ import annotations

import json
import random
import re
import socket
import ssl
import sys
import time
from typing import Any

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Asker:
    """A client of one server."""

    def __init__(self, settings: dict[str, Any], port: int) -> None:
        self.settings = settings
        self.port = port
        self.context = ssl.create_default_context(cafile=settings["ca"])
        self.head = (
            f"GET {settings['path']} HTTP/1.1\r\nHost: {settings['public_name']}\r\n"
            f"Authorization: {settings['authorization']}\r\nCookie: greenroom_share="
        )
        self.channel: ssl.SSLSocket | None = None

    def ask(self, person: int) -> int:
        """Send a request with the cookie of client `person`; return microseconds. Fails unless the status is 200."""
        began = time.perf_counter_ns()
        channel = self.channel or self.connect()
        channel.sendall(f"{self.head}{person}\r\n\r\n".encode())
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self.more(channel)
        length = LENGTH.search(answer, 0, end)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert length, answer
        while len(answer) < end + 4 + int(length[1]):
            answer += self.more(channel)
        took = (time.perf_counter_ns() - began) // 1000
        if self.settings["keep"]:
            self.channel = channel
        else:
            channel.close()
        return took

    def more(self, channel: ssl.SSLSocket) -> bytes:
        """Read more of the response."""
        data = channel.recv(65536)
        assert data, "the connection ended"
        return data

    def connect(self) -> ssl.SSLSocket:
        """Open a connection."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(plain, server_hostname=self.settings["public_name"])


def main() -> None:
    """Send pairs of requests, in random order within each pair."""
    settings = json.load(sys.stdin)
    askers = {name: Asker(settings, port) for name, port in settings["ports"].items()}
    took: dict[str, list[int]] = {name: [] for name in askers}
    chance = random.Random(1)
    for number in range(settings["pairs"] + 50):
        names = sorted(askers)
        chance.shuffle(names)
        person = chance.randrange(10**6)
        for name in names:
            microseconds = askers[name].ask(person)
            if number >= 50:  # Earlier requests only warm up.
                took[name].append(microseconds)
    json.dump(took, sys.stdout)


if __name__ == "__main__":
    main()
