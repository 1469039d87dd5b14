"""The real things on loopback: PostgreSQL, Kratos with the deployed configuration, its courier, MailDev, the portal.

GREENROOM_KRATOS and GREENROOM_MAILDEV name those programs; PostgreSQL is taken from Debian's place.
What is missing fails, nothing is skipped.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import ansible.module_utils
import httpx
import jinja2
import pytest
import yaml

PORTAL = Path(__file__).resolve().parents[1]
ROOT = PORTAL.parents[1]
SERVICES = ROOT / "services"
# The smoke checks are Greenroom's own: make them importable as Ansible does.
ansible.module_utils.__path__.append(str(ROOT / "plugins" / "module_utils"))
DOMAIN = "staging.greenroom.test"
PUBLIC_NAME = f"portal.{DOMAIN}"
KRATOS_PATHS = tuple(route["path"] for route in yaml.safe_load((SERVICES / "kratos/service.yml").read_text())["routes"])
SQL = """
CREATE ROLE portal; CREATE ROLE kratos;
CREATE ROLE portal_blue LOGIN PASSWORD 'blue-password' IN ROLE portal; ALTER ROLE portal_blue SET role portal;
CREATE ROLE portal_green LOGIN PASSWORD 'green-password' IN ROLE portal; ALTER ROLE portal_green SET role portal;
CREATE ROLE kratos_blue LOGIN PASSWORD 'blue-password' IN ROLE kratos; ALTER ROLE kratos_blue SET role kratos;
CREATE DATABASE portal OWNER portal;
CREATE DATABASE kratos OWNER kratos;
"""


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


EDGE_PORT = free_port()
PUBLIC_URL = f"https://{PUBLIC_NAME}:{EDGE_PORT}"


def wait_for(what: str, ready: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.1)


def answers(url: str, status: int = 200) -> Callable[[], bool]:
    """Return a question whether a URL answers with a status."""

    def ask() -> bool:
        try:
            return httpx.get(url, timeout=5).status_code == status
        except httpx.HTTPError:
            return False

    return ask


@dataclass
class Program:
    """A process under test and the file that its output goes to."""

    process: subprocess.Popen[bytes]
    output: Path

    @classmethod
    def start(cls, command: list[str], output: Path, environment: dict[str, str] | None = None) -> Program:
        """Start it."""
        with output.open("ab") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
        return cls(process, output)

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def lines(self) -> list[dict[str, object]]:
        """Return what it logged as JSON."""
        return [json.loads(line) for line in self.output.read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an empty PostgreSQL with the roles and databases of a slot; yields host and port."""
    folder = tmp_path_factory.mktemp("postgres")
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    as_postgres: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_postgres = ["runuser", "-u", "postgres", "--"]
        subprocess.run(["chown", "postgres", folder], check=True)
        for parent in folder.parents[:2]:
            parent.chmod(0o755)
    data, port = folder / "data", free_port()
    subprocess.run(
        [*as_postgres, programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"],
        check=True,
        capture_output=True,
        cwd="/",
        timeout=60,
    )
    settings = [f"-cunix_socket_directories={folder}", "-clisten_addresses=127.0.0.1", f"-cport={port}", "-cfsync=off"]
    server = subprocess.Popen(
        [*as_postgres, programs / "postgres", "-D", data, *settings], cwd="/", stderr=subprocess.DEVNULL
    )
    psql = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
    probe = [*psql, "-c", "SELECT 1"]
    wait_for("PostgreSQL", lambda: subprocess.run(probe, capture_output=True, check=False).returncode == 0)
    subprocess.run(psql, input=SQL, text=True, check=True)
    yield f"127.0.0.1:{port}"
    server.terminate()
    server.wait(30)


@dataclass
class Mailbox:
    """MailDev's ports."""

    smtp: int
    web: int

    def to(self, address: str) -> list[dict[str, Any]]:
        """Return what came for an address."""
        answer = httpx.get(f"http://127.0.0.1:{self.web}/email", params={"headers.to": address})
        messages: list[dict[str, Any]] = answer.json()
        return messages


@pytest.fixture(scope="session")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    """Run MailDev."""
    folder = tmp_path_factory.mktemp("maildev")
    found = Mailbox(free_port(), free_port())
    ports = ["--smtp", str(found.smtp), "--web", str(found.web), "--ip", "127.0.0.1", "--web-ip", "127.0.0.1"]
    program = Program.start(
        [os.environ["GREENROOM_MAILDEV"], *ports, "--mail-directory", str(folder)], folder / "maildev.log"
    )
    wait_for("MailDev", answers(f"http://127.0.0.1:{found.web}/healthz"))
    yield found
    program.stop()


@dataclass
class KratosServer:
    """Where Kratos answers."""

    public: str
    admin: str
    program: Program


@pytest.fixture(scope="session")
def kratos(tmp_path_factory: pytest.TempPathFactory, postgres: str, mailbox: Mailbox) -> Iterator[KratosServer]:
    """Run Kratos and its courier with the deployed configuration and the commands of their service files."""
    folder = tmp_path_factory.mktemp("kratos")
    source = SERVICES / "kratos/config"
    template = jinja2.Template((source / "kratos.yml.j2").read_text(), undefined=jinja2.StrictUndefined)
    rendered = template.render(
        environment_public_url=PUBLIC_URL, environment_public_name=PUBLIC_NAME, environment_domain=DOMAIN
    )
    (folder / "kratos.yml").write_text(rendered.replace("/etc/kratos", str(folder)))
    (folder / "identity.schema.json").write_text((source / "identity.schema.json").read_text())
    public, admin = free_port(), free_port()
    environment = {
        "DSN": f"postgres://kratos_blue:blue-password@{postgres}/kratos?sslmode=disable",
        "SECRETS_COOKIE": "newest0cookie0secret0of0320chars,older0cookie0secret0of0032chars0",
        "SECRETS_CIPHER": "newest0cipher0secret0of0320chars,older0cipher0secret0of0320chars0"[:65],
        "SERVE_PUBLIC_PORT": str(public),
        "SERVE_ADMIN_PORT": str(admin),
        "COURIER_SMTP_CONNECTION_URI": f"smtp://127.0.0.1:{mailbox.smtp}/?disable_starttls=true",
    }

    def command(service: str, key: str) -> list[str]:
        words = yaml.safe_load((SERVICES / service / "service.yml").read_text())[key]
        return [os.environ["GREENROOM_KRATOS"], *(word.replace("/etc/kratos", str(folder)) for word in words)]

    subprocess.run(command("kratos", "migrate"), env=environment, check=True, capture_output=True, timeout=180)
    server = Program.start(command("kratos", "command"), folder / "serve.log", environment)
    courier = Program.start(command("kratos-courier", "command"), folder / "courier.log", environment)
    found = KratosServer(f"http://127.0.0.1:{public}", f"http://127.0.0.1:{admin}", server)
    wait_for("Kratos", answers(f"{found.public}/health/ready"))
    yield found
    courier.stop()
    server.stop()


@dataclass
class Slot:
    """A portal process."""

    url: str
    metrics: str
    program: Program
    environment: dict[str, str]


StartPortal = Callable[..., Slot]


@pytest.fixture(scope="session")
def start_portal(
    tmp_path_factory: pytest.TempPathFactory, postgres: str, kratos: KratosServer
) -> Iterator[StartPortal]:
    """Yield a function that migrates for and starts a portal of a version in a slot."""
    started: list[Slot] = []

    def start(slot: str, version: str, options: str = "", migrate: bool = True) -> Slot:
        folder = tmp_path_factory.mktemp(f"portal-{slot}")
        (folder / "portal.yml").write_text(options)
        port, metrics = free_port(), free_port()
        environment = {
            "PYTHONPATH": str(PORTAL),
            "DATABASE_URL": f"postgres://portal_{slot}:{slot}-password@{postgres}/portal?sslmode=disable",
            "PORTAL_CSRF_KEYS": "newest0csrf0key0,older00csrf0key0",
            "PORTAL_CONFIG": str(folder / "portal.yml"),
            "PORTAL_HOST": "127.0.0.1",
            "PORTAL_PORT": str(port),
            "PORTAL_METRICS_PORT": str(metrics),
            "PORTAL_VERSION": version,
            "KRATOS_PUBLIC_URL": kratos.public,
            "KRATOS_ADMIN_URL": kratos.admin,
            "GREENROOM_ENVIRONMENT": "staging",
            "GREENROOM_SLOT": slot,
            "GREENROOM_RELEASE": "sha256:0123456789abcdef",
        }
        if migrate:
            subprocess.run([sys.executable, "-m", "portal", "migrate"], env=environment, check=True, timeout=60)
        program = Program.start([sys.executable, "-m", "portal", "serve"], folder / "portal.log", environment)
        found = Slot(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics}", program, environment)
        started.append(found)
        wait_for("the portal", answers(f"{found.url}/healthz"))
        return found

    yield start
    for slot in started:
        if slot.program.process.poll() is None:
            slot.program.stop()


def backend(path: str, slot: Slot, kratos: KratosServer) -> httpx.URL:
    """Return who answers a path, as the services' routes say."""
    return httpx.URL(kratos.public if path.startswith(KRATOS_PATHS) else slot.url)


class Edge(httpx.BaseTransport):
    """Routes by path as the edge does, so that a browser sees one HTTPS site."""

    def __init__(self, slot: Slot, kratos: KratosServer) -> None:
        self.slot = slot
        self.kratos = kratos
        self.http = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it to the backend and name the slot."""
        target = backend(request.url.path, self.slot, self.kratos)
        url = request.url.copy_with(scheme=target.scheme, host=target.host, port=target.port)
        response = self.http.handle_request(
            httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
        )
        response.headers["X-Greenroom-Slot"] = self.slot.environment["GREENROOM_SLOT"]
        return response


class EdgeHandler(BaseHTTPRequestHandler):
    """The same for programs that insist on a connection."""

    transport: Edge

    def do_GET(self) -> None:
        """Pass a request on."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = httpx.Request(
            self.command, f"{PUBLIC_URL}{self.path}", headers=list(self.headers.items()), content=body
        )
        response = self.transport.handle_request(request)
        content = b"".join(response.iter_raw())
        self.send_response_only(response.status_code)
        for name, value in response.headers.multi_items():
            if name not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """Pass on a request with a body."""
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


ServeEdge = Callable[[Slot], Path]


@pytest.fixture
def serve_edge(tmp_path: Path, kratos: KratosServer) -> Iterator[ServeEdge]:
    """Yield a function that serves a slot at the public address over TLS and returns the certificate to trust."""
    servers: list[ThreadingHTTPServer] = []

    def serve(slot: Slot) -> Path:
        certificate, key = tmp_path / "edge.crt", tmp_path / "edge.key"
        name = ["-subj", f"/CN={PUBLIC_NAME}", "-addext", f"subjectAltName=DNS:{PUBLIC_NAME}"]
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command = ["openssl", "req", "-x509", "-days", "30", *curve, *name, "-keyout", key, "-out", certificate]
        subprocess.run(command, check=True, capture_output=True)
        handler = type("Handler", (EdgeHandler,), {"transport": Edge(slot, kratos)})
        server = ThreadingHTTPServer(("127.0.0.1", EDGE_PORT), handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return certificate

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


Browse = Callable[[Slot], httpx.Client]


@pytest.fixture
def browse(kratos: KratosServer) -> Iterator[Browse]:
    """Yield a function that opens a browser on a slot."""
    opened: list[httpx.Client] = []

    def open_browser(slot: Slot) -> httpx.Client:
        browser = httpx.Client(
            base_url=PUBLIC_URL, transport=Edge(slot, kratos), headers={"Accept": "text/html"}, follow_redirects=True
        )
        opened.append(browser)
        return browser

    yield open_browser
    for browser in opened:
        browser.close()
