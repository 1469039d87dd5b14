# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs HAProxy with the rendered files of an edge host that has many servers, and counts the health checks of one host.

`size.py RENDERED` reads {starts, host, intervals, service} from standard input and prints {needed, limit, ...}, both
JSON. `needed` is how many open files HAProxy asks for, `limit` how many its unit allows. With `starts`, HAProxy runs
with that limit, and the result has `checks`, {port: how many checks `host` got within `intervals`}, `answer`, the
status of a response of `service`, and `down`: whether its server is no longer used after its port is closed, although
no check is due.
"""

from __future__ import annotations

import contextlib
import json
import re
import selectors
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edge

HAPROXY = ["haproxy", "-db", "-C", "/etc/haproxy", "-f", "haproxy.cfg", "-f", "slots"]
SLOTS = Path("/etc/haproxy/slots")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
FEW = 1000
"""Open files with which HAProxy doesn't start."""
LIMIT = re.compile(r"^LimitNOFILE=(\d+)$", re.M)
PATIENCE = 120
"""Seconds until a wait has failed."""


class Host:
    """Responds at all ports of a host, and counts requests."""

    def __init__(self, address: str, ports: set[int]) -> None:
        self.counts: Counter[int] = Counter()
        self._selector = selectors.DefaultSelector()
        self._sockets = {port: socket.create_server((address, port), backlog=100) for port in ports}
        for port, listener in self._sockets.items():
            self._selector.register(listener, selectors.EVENT_READ, port)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            for key, _events in self._selector.select():
                with contextlib.suppress(OSError):
                    channel, _source = key.fileobj.accept()  # type: ignore[union-attr]
                    with channel:
                        channel.recv(65536)
                        channel.sendall(ANSWER)
                    self.counts[key.data] += 1

    def close(self, port: int) -> None:
        """Refuse connections at a port from now on."""
        self._selector.unregister(self._sockets[port])
        self._sockets[port].close()


def limited(files: int) -> list[str]:
    """Return the command that runs HAProxy with a limit of open files."""
    return ["prlimit", f"--nofile={files}:{files}", *HAPROXY]


def needed() -> int:
    """Return how many open files HAProxy asks for."""
    done = subprocess.run(limited(FEW), capture_output=True, text=True, check=False)
    found = re.search(r"Cannot raise FD limit to (\d+)", done.stderr)
    if not found:
        raise RuntimeError(done.stderr)
    return int(found[1])


@contextlib.contextmanager
def running(files: int) -> Iterator[None]:
    """Run HAProxy with a limit of open files, until it serves."""
    with Path("/tmp/haproxy.log").open("w") as log:
        proxy = subprocess.Popen(limited(files), stdout=log, stderr=log)
    try:
        while not edge.listens(443):
            if proxy.poll() is not None:
                raise RuntimeError(Path("/tmp/haproxy.log").read_text()[:2000])
            time.sleep(0.1)
        yield
    finally:
        proxy.kill()
        proxy.wait()


def uptime() -> int:
    """How long HAProxy has been running, by its own clock, in seconds."""
    found = re.search(r"^Uptime_sec: (\d+)", edge.told("show info"), re.M)
    return int(found[1]) if found else 0


def is_down(backend: str, host: str) -> bool:
    """Whether HAProxy no longer uses a server."""
    return any(
        line.startswith(f"{backend},{host},") and ",DOWN," in line for line in edge.told("show stat").splitlines()
    )


def replaced(pattern: str, text: str) -> None:
    """Replace what matches in the files of both slots."""
    for path in SLOTS.glob("*.cfg"):
        path.write_text(re.sub(pattern, text, path.read_text()))


def main() -> None:
    """Run HAProxy, print the results."""
    given: dict[str, Any] = json.load(sys.stdin)
    rendered = Path(sys.argv[1])
    shutil.copytree(rendered / "etc/haproxy", "/etc/haproxy", dirs_exist_ok=True)
    Path("/etc/haproxy/maps/live.map").write_text("staging 1:blue:-:0\n")
    Path("/run/haproxy").mkdir(exist_ok=True)
    unit = (rendered / "etc/systemd/system/haproxy.service.d/greenroom.conf").read_text()
    limit = int(LIMIT.findall(unit)[0])
    result: dict[str, Any] = {"needed": needed(), "limit": limit}
    if given["starts"]:
        result |= started(limit, given["host"], given["service"], given["intervals"])
    print(json.dumps(result))


def started(limit: int, name: str, service: str, intervals: int) -> dict[str, Any]:
    """Run HAProxy, count the checks of a host, and let one of its services end."""
    edge.Journal()
    replaced(r"(server \S+ )\d+", r"\g<1>127")
    text = "".join(path.read_text() for path in SLOTS.glob("*.cfg"))
    servers = re.findall(rf"server {name} (\S+):(\d+)", text)
    seconds = int(re.findall(r"check inter (\d+)s", text)[-1])
    host = Host(servers[0][0], {int(port) for _address, port in servers})
    with running(limit):
        while uptime() < seconds * intervals or len(host.counts) < len(servers):
            time.sleep(0.2)
        counts = dict(host.counts)
    # From now on, no check is due.
    replaced(r"inter \d+s fastinter", "inter 1h fastinter")
    # Only this host of the service, so that each request goes there.
    replaced(rf"(?s)(?<=\nbackend {service}_http_blue\n)(.*?\n    server {name} [^\n]*\n)(    server [^\n]*\n)*", r"\1")
    port = int(re.findall(rf"(?s)\nbackend {service}_http_blue\n.*?\n    server {name} \S+:(\d+)", text)[0])
    request = {"raw": f"GET /{service} HTTP/1.1\r\nHost: portal.staging.greenroom.test\r\n\r\n"}
    with running(limit):
        answer = edge.sent(request)["status"]
        host.close(port)
        give_up = time.monotonic() + PATIENCE
        while not (down := is_down(f"{service}_http_blue", name)) and time.monotonic() < give_up:
            edge.sent(request)
            time.sleep(0.1)
    return {"checks": counts, "answer": answer, "down": down}


if __name__ == "__main__":
    main()
