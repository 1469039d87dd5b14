# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs HAProxy with the rendered files of one edge host, holds connections open, and asks it meanwhile.

`flood.py RENDERED` reads a JSON list of floods from standard input, {port, sources, each, visits, peer}: `each` silent
connections from each of `sources`. It prints a JSON list of {held, health, peer, visits}: how many of the connections
HAProxy keeps, and what it responds to keepalived's check, to the host `peer`, and to a visitor at each of the ports
`visits`, empty if nothing. With a `balancer`, all visitors come through that address, with PROXY headers.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import edge

ENOUGH = 8
"""Seconds without a response after which an edge counts as starved. HAProxy closes silent connections after ten."""
VISITOR = "127.0.0.2"
VISIT = b"GET / HTTP/1.1\r\nHost: portal.staging.greenroom.test\r\n\r\n"


def header(visitor: str, balancer: str) -> bytes:
    """The PROXY header of a connection; none without a balancer."""
    return f"PROXY TCP4 {visitor} {edge.REDIRECTING} 50000 443\r\n".encode() if balancer else b""


def asked(port: int, source: str, request: bytes, target: str, balancer: str = "") -> str:
    """Send a request from an address and return the status line; empty without a response."""
    own = (balancer or source, 0)
    with contextlib.suppress(OSError), socket.create_connection((target, port), ENOUGH, own) as plain:
        plain.sendall(header(source, balancer))
        channel = plain if port == 80 else edge.CONTEXT.wrap_socket(plain)
        channel.sendall(request)
        return channel.recv(65536).decode().split("\n")[0].strip()
    return ""


def flooded(flood: dict[str, Any]) -> dict[str, Any]:
    """Hold connections, ask, close them, and return what happened."""
    with contextlib.ExitStack() as opened:
        channels = []
        balancer = flood.get("balancer", "")
        for source in flood["sources"]:
            for _number in range(flood["each"]):
                channel = opened.enter_context(socket.socket())
                channel.bind((balancer or source, 0))
                channel.setblocking(False)
                channel.connect_ex((edge.REDIRECTING, flood["port"]))
                with contextlib.suppress(OSError):
                    channel.send(header(source, balancer))
                channels.append(channel)
        calls = {
            "health": (80, "127.0.0.1", b"GET /edge-health HTTP/1.0\n\n", "127.0.0.1"),
            "peer": (8406, flood["peer"], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "127.0.0.1"),
            **{port: (port, VISITOR, VISIT, edge.REDIRECTING, balancer) for port in flood["visits"]},
        }
        # At the same time, while HAProxy has not given up the silent connections.
        with ThreadPoolExecutor() as pool:
            found = dict(zip(calls, pool.map(lambda call: asked(*call), calls.values()), strict=True))
        poll = select.poll()
        for channel in channels:
            poll.register(channel, select.POLLOUT | select.POLLRDHUP)
        # Others are closed, or HAProxy has not accepted them.
        held = sum(event == select.POLLOUT for _channel, event in poll.poll(0))
        visits = [found.pop(port) for port in flood["visits"]]
        return {**found, "visits": visits, "held": held}


def main() -> None:
    """Run HAProxy and all floods, print the results."""
    floods = json.load(sys.stdin)
    edge.prepare(Path(sys.argv[1]))
    for address in {flood["peer"] for flood in floods}:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    journal = edge.Journal()
    with edge.running(journal):
        print(json.dumps([flooded(flood) for flood in floods]))


if __name__ == "__main__":
    main()
