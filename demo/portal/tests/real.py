"""The real programs on loopback, as deployed: PostgreSQL, Kratos, its courier, MailDev, a sign-in provider, the portal.

GREENROOM_KRATOS and GREENROOM_MAILDEV name those programs, GREENROOM_PROVIDER the folder with the provider's
node_modules; PostgreSQL is taken from Debian's place.
What is missing fails, nothing is skipped.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import ansible.module_utils
import httpx
import yaml

PORTAL = Path(__file__).resolve().parents[1]
ROOT = PORTAL.parents[1]
SERVICES = ROOT / "services"
# Make Greenroom's smoke checks importable as Ansible does.
ansible.module_utils.__path__.append(str(ROOT / "plugins" / "module_utils"))
DOMAIN = "staging.greenroom.test"
PUBLIC_NAME = f"portal.{DOMAIN}"
KRATOS_PATHS = tuple(route["path"] for route in yaml.safe_load((SERVICES / "kratos/service.yml").read_text())["routes"])


def free_port() -> int:
    """Return a TCP port without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


EDGE_PORT = free_port()
PUBLIC_URL = f"https://{PUBLIC_NAME}:{EDGE_PORT}"


def wait_for(what: str, ready: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until `ready` returns true; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.1)


def answers(url: str, status: int = 200, verify: ssl.SSLContext | bool = True) -> Callable[[], bool]:
    """Return a function that checks whether a URL responds with a status."""

    def ask() -> bool:
        try:
            return httpx.get(url, timeout=5, verify=verify).status_code == status
        except httpx.HTTPError:
            return False

    return ask


@dataclass
class Program:
    """A process under test, and the file with its output."""

    process: subprocess.Popen[bytes]
    output: Path

    @classmethod
    def start(cls, command: list[str], output: Path, environment: dict[str, str] | None = None) -> Program:
        """Start it."""
        with output.open("ab") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
        return cls(process, output)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def lines(self) -> list[dict[str, object]]:
        """Return its JSON log lines."""
        return [json.loads(line) for line in self.output.read_text().splitlines() if line.startswith("{")]


@dataclass
class Mailbox:
    """MailDev's ports."""

    smtp: int
    web: int

    def to(self, address: str) -> list[dict[str, Any]]:
        """Return the mail for an address."""
        answer = httpx.get(f"http://127.0.0.1:{self.web}/email", params={"headers.to": address})
        messages: list[dict[str, Any]] = answer.json()
        return messages


@dataclass
class Provider:
    """The sign-in provider: its issuer, this environment's client, and the password of all its accounts."""

    issuer: str
    client: dict[str, str]
    program: Program
    trust: ssl.SSLContext


@dataclass
class KratosServer:
    """Kratos' addresses."""

    public: str
    admin: str
    program: Program


@dataclass
class Slot:
    """A portal process."""

    url: str
    metrics: str
    program: Program
    environment: dict[str, str]


StartPortal = Callable[..., Slot]


def backend(path: str, slot: Slot, kratos: KratosServer) -> httpx.URL:
    """Return the service for a path, by the services' routes."""
    return httpx.URL(kratos.public if path.startswith(KRATOS_PATHS) else slot.url)


CLOSED = ("/readyz",)
"""Pages of the portal that the edge serves to nobody."""


class Edge(httpx.BaseTransport):
    """Routes by path as the edge does, so that a browser sees one HTTPS site."""

    def __init__(self, slot: Slot, kratos: KratosServer) -> None:
        self.slot = slot
        self.kratos = kratos
        self.http = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to the backend, and add the slot header."""
        if request.url.path in CLOSED:
            return httpx.Response(404, headers={"X-Greenroom-Slot": self.slot.environment["GREENROOM_SLOT"]})
        target = backend(request.url.path, self.slot, self.kratos)
        url = request.url.copy_with(scheme=target.scheme, host=target.host, port=target.port)
        response = self.http.handle_request(
            httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
        )
        response.headers["X-Greenroom-Slot"] = self.slot.environment["GREENROOM_SLOT"]
        return response


class EdgeHandler(BaseHTTPRequestHandler):
    """The same for programs that need a real connection."""

    transport: Edge

    def do_GET(self) -> None:
        """Forward a request."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = httpx.Request(
            self.command, f"{PUBLIC_URL}{self.path}", headers=list(self.headers.items()), content=body
        )
        response = self.transport.handle_request(request)
        # The response for a closed path has been read already.
        content = response.content if response.is_stream_consumed else b"".join(response.iter_raw())
        self.send_response_only(response.status_code)
        for name, value in response.headers.multi_items():
            if name not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """Forward a request with a body."""
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


ServeEdge = Callable[[Slot], Path]


Browse = Callable[[Slot], httpx.Client]
