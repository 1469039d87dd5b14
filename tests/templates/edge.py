# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs HAProxy with the rendered files of one edge host, in a container of the hosts' image, and sends requests to it.

`edge.py RENDERED` reads requests from standard input, a JSON list of {path, headers, before, port}, and prints a JSON
list of {status, headers, got, log, others}: `got` is the backend's request ({port, path, headers}, null if no backend
got it), `log` the edge's log line, and `others` are further lines since the request before. `before` are paths to
request first on the same connection. The blue slot's servers are replaced with backends of this script in 127.0.0.0/8.
They end the connection instead of responding to `/dropped`. They respond to `/hanging` late, and `got` then has
`shown`, how HAProxy's socket shows the request. The green slot has no routes.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PACKAGES = "deb [trusted=yes] file:/srv/packages ./\n"
seen: list[dict[str, Any]] = []


class Backend(http.server.BaseHTTPRequestHandler):
    """Responds to every request, and records them except health checks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send an empty response, or none."""
        if "x-request-id" in self.headers:
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.append({"port": self.server.server_port, "path": self.path, "headers": headers})  # type: ignore[attr-defined]
        if self.path == "/dropped":
            self.close_connection = True
            return
        if self.path == "/hanging":
            seen[-1]["shown"] = shown("show sess older 1s")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: Any) -> None:
        """Log nothing."""


def shown(command: str) -> str:
    """Return HAProxy's output of a command as soon as it shows a request to a service."""
    text = ""
    while " backend=home" not in text:
        time.sleep(0.2)
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect("/run/haproxy/admin.sock")
            channel.sendall(f"{command}\n".encode())
            channel.shutdown(socket.SHUT_WR)
            text = b"".join(iter(lambda: channel.recv(65536), b"")).decode()
    return text


def install() -> None:
    """Install HAProxy if it is missing."""
    if not shutil.which("haproxy"):
        Path("/etc/apt/sources.list.d/tests.list").write_text(PACKAGES)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", "haproxy"]):
            subprocess.run(["apt-get", "-qq", *words], env=environment, stdout=sys.stderr, check=True)


def listens(port: int) -> bool:
    """Whether a port accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def prepare(rendered: Path) -> None:
    """Install HAProxy, copy its files, start the backends."""
    install()
    shutil.copytree(rendered / "etc/haproxy", "/etc/haproxy", dirs_exist_ok=True)
    Path("/etc/haproxy/maps/live.map").write_text("staging 1:blue:-:0\n")
    Path("/etc/haproxy/maps/routes-green.map").write_text("")
    Path("/run/haproxy").mkdir(exist_ok=True)
    slot = Path("/etc/haproxy/slots/blue.cfg")
    # Without health checks: if this process were late for two of them, the edge would send no request here.
    text = slot.read_text().replace("default-server check ", "default-server ")
    slot.write_text(re.sub(r"(server \S+ )\d+", r"\g<1>127", text))
    for address, port in set(re.findall(r"server \S+ (\S+):(\d+)", slot.read_text())):
        server = http.server.ThreadingHTTPServer((address, int(port)), Backend)
        threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(request: dict[str, Any], journal: socket.socket) -> dict[str, Any]:
    """Send a request and return its result."""
    seen.clear()
    context = ssl._create_unverified_context()
    connection: http.client.HTTPConnection
    if request["port"] == 80:
        check_health()
        connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=120)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", 443, context=context, timeout=120)
    for path in (*request["before"], request["path"]):
        connection.request("GET", path, headers=request["headers"])
        answer = connection.getresponse()
        answer.read()
        others: list[str] = []
        while '"path"' not in (line := journal.recv(8192).decode()):
            others.append(line)
    connection.close()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    log = json.loads(line[line.index("{") :])
    got = seen[-1] if seen else None
    return {"status": answer.status, "headers": headers, "got": got, "log": log, "others": others}


def check_health() -> None:
    """Check the edge's health as keepalived does, which reads one line and closes the connection."""
    with socket.create_connection(("127.0.0.1", 80), timeout=120) as channel:
        channel.sendall(b"GET /edge-health HTTP/1.0\n\n")
        if b" 200 " not in channel.recv(100):
            raise RuntimeError("the edge is not healthy")


def main() -> None:
    """Run HAProxy, send all requests, print the results."""
    requests = json.load(sys.stdin)
    prepare(Path(sys.argv[1]))
    Path("/dev/log").unlink(missing_ok=True)
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind("/dev/log")
    journal.settimeout(120)
    os.chmod("/dev/log", 0o666)
    words = ["haproxy", "-db", "-C", "/etc/haproxy", "-f", "haproxy.cfg", "-f", "slots"]
    proxy = subprocess.Popen(words, stdout=sys.stderr)
    try:
        for _attempt in range(1200):
            if listens(443):
                break
            time.sleep(0.1)
        # What HAProxy says when it starts.
        journal.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while journal.recv(8192):
                pass
        journal.settimeout(120)
        print(json.dumps([ask(request, journal) for request in requests]))
    finally:
        proxy.kill()


if __name__ == "__main__":
    main()
