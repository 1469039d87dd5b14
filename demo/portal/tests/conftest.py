"""The real things on loopback: PostgreSQL, Kratos with the configuration that is deployed, its courier, a mailbox, the portal.

GREENROOM_KRATOS names the Kratos program; PostgreSQL is taken from Debian's place. What is missing fails, nothing is skipped.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_string, policy
from email.message import EmailMessage
from pathlib import Path

import httpx
import jinja2
import pytest
import yaml

PORTAL = Path(__file__).resolve().parents[1]
SERVICES = PORTAL.parents[1] / "services"
DOMAIN = "staging.greenroom.test"
PUBLIC_URL = f"https://portal.{DOMAIN}"
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


class Mailbox(socketserver.ThreadingTCPServer):
    """Takes mail over SMTP and keeps it."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        super().__init__(("127.0.0.1", 0), MailHandler)

    def to(self, address: str) -> list[EmailMessage]:
        """Return what came for an address."""
        return [message for message in self.messages if message["To"] == address]


class MailHandler(socketserver.StreamRequestHandler):
    """Just enough SMTP for one client."""

    server: Mailbox

    def handle(self) -> None:
        """Talk until QUIT."""
        self.wfile.write(b"220 mailbox\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.decode())
                message = message_from_string("".join(lines), policy=policy.default)
                assert isinstance(message, EmailMessage)
                self.server.messages.append(message)
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


@pytest.fixture(scope="session")
def mailbox() -> Iterator[Mailbox]:
    """Run a mailbox."""
    with Mailbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


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
        environment_public_url=PUBLIC_URL, environment_public_name=f"portal.{DOMAIN}", environment_domain=DOMAIN
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
        "COURIER_SMTP_CONNECTION_URI": f"smtp://127.0.0.1:{mailbox.server_address[1]}/?disable_starttls=true",
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


class Edge(httpx.BaseTransport):
    """Routes by path as the edge does, so that a browser sees one HTTPS site."""

    def __init__(self, portal: Slot, kratos: KratosServer) -> None:
        self.portal = portal.url
        self.kratos = kratos.public
        self.http = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it to the backend."""
        target = httpx.URL(self.kratos if request.url.path.startswith(KRATOS_PATHS) else self.portal)
        url = request.url.copy_with(scheme=target.scheme, host=target.host, port=target.port)
        return self.http.handle_request(
            httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
        )


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
