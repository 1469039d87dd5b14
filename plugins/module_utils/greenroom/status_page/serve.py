# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Serves the status page: HTML, or JSON for programs that ask for it. Read only, and without any input but the path."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from . import gather, page, prometheus

PATHS = ("/", "/.greenroom/status")
"""The second one is the path at the edge."""
CACHE_SECONDS = 5.0
TIMEOUT = 10.0
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Latest:
    """The status, asked for at most once in CACHE_SECONDS, however many people look at it."""

    def __init__(self, ask: Callable[[], gather.Status]) -> None:
        self._ask = ask
        self._guard = threading.Lock()
        self._status: gather.Status = {}
        self._until = 0.0

    def status(self) -> gather.Status:
        """Return the status, which may be CACHE_SECONDS old."""
        with self._guard:
            if time.monotonic() >= self._until:
                self._status, self._until = self._ask(), time.monotonic() + CACHE_SECONDS
            return self._status


def handler(latest: Latest) -> type[BaseHTTPRequestHandler]:
    """Return the class that responds to a request with the latest status."""

    class Handler(BaseHTTPRequestHandler):
        """Responds to GET and HEAD."""

        timeout = TIMEOUT
        server_version = "greenroom"
        sys_version = ""

        def do_GET(self) -> None:
            """Respond with the page or the data."""
            if self.path.partition("?")[0] not in PATHS:
                self.send_error(404, "Nothing is served at this address")
                return
            status = latest.status()
            wants = self.headers.get("Accept", "")
            if "json" in wants and "text/html" not in wants:
                self._send(json.dumps(status) + "\n", "application/json")
            else:
                self._send(page.page(status), "text/html; charset=utf-8")

        def do_HEAD(self) -> None:
            """Respond with the headers only."""
            self.do_GET()

        def _send(self, text: str, kind: str) -> None:
            body = text.encode()
            self.send_response(200)
            for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: the edge logs each request."""

    return Handler


def serve(settings: Mapping[str, Any]) -> ThreadingHTTPServer:
    """Return the server. `settings` = {listen, port, prometheus, and what `gather.gather` needs}."""
    server = prometheus.Prometheus(settings["prometheus"])
    latest = Latest(lambda: gather.gather(settings, server))

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in settings["listen"] else socket.AF_INET

    return Server((settings["listen"], settings["port"]), handler(latest))


def main(path: str) -> None:
    """Serve the page with the settings in the file at `path`, until the process is ended."""
    serve(json.loads(Path(path).read_text(encoding="utf-8"))).serve_forever()
