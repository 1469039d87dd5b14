# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs HAProxy with the rendered files of one edge host, reloads it, and uses WebSockets from before the reloads.

`reloads.py RENDERED` reads a number of reloads from standard input. It opens a WebSocket at `/echo` and reloads, that
many times. It closes the WebSockets, the first one last. Then it opens another one and reloads until it is closed.
It prints {open, closing, survived}: after each reload and after each close, the number of WebSockets that respond, and
of old workers; and how many reloads the last WebSocket has survived.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path

import edge

MASTER = "/run/haproxy-master.sock"
ENOUGH = 60
"""Seconds after which something that should happen at once counts as missing."""
HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: portal.staging.greenroom.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def websocket() -> socket.socket:
    """Open a WebSocket to the service."""
    plain = socket.create_connection((edge.REDIRECTING, 443), 120)
    channel = edge.CONTEXT.wrap_socket(plain)
    channel.sendall(HANDSHAKE)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += channel.recv(4096)
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise RuntimeError(f"no WebSocket: {answer.decode()}")
    return channel


def master(command: str) -> str:
    """Send a command to the master, which listens again a moment after it has started."""
    give_up = time.monotonic() + ENOUGH
    while True:
        try:
            return edge.told(command, MASTER)
        except (ConnectionError, FileNotFoundError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def reload() -> None:
    """Reload HAProxy, until the new worker serves."""
    answer = master("reload")
    if not answer.startswith("Success=1"):
        raise RuntimeError(answer)


def old_workers() -> int:
    """Return the number of old workers."""
    _new, _line, old = master("show proc").partition("# old workers")
    return sum("worker" in line.split() for line in old.split("# ")[0].splitlines())


def state(channels: list[socket.socket]) -> list[int]:
    """Return [WebSockets that respond, old workers], after unused workers have ended."""
    responding = [edge.echoed(channel, "hello") for channel in channels].count("hello")
    give_up = time.monotonic() + ENOUGH
    while old_workers() > len(channels) and time.monotonic() < give_up:
        time.sleep(0.1)
    return [responding, old_workers()]


def main() -> None:
    """Run HAProxy, reload it, print the results."""
    number = json.load(sys.stdin)
    edge.prepare(Path(sys.argv[1]))
    with edge.running(edge.Journal(), "-W", "-S", MASTER):
        channels: list[socket.socket] = []
        opened, closing = [], []
        for _number in range(number):
            channels.append(websocket())
            reload()
            opened.append(state(channels))
        while channels:
            channels.pop().close()
            closing.append(state(channels))
        channel = websocket()
        survived = -1
        while edge.echoed(channel, "hello"):
            survived += 1
            reload()
        print(json.dumps({"open": opened, "closing": closing, "survived": survived}))


if __name__ == "__main__":
    main()
