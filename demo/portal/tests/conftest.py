"""Fixtures that start and stop the real programs."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import httpx
import jinja2
import pytest
import yaml

from .real import (
    DOMAIN,
    EDGE_PORT,
    PORTAL,
    PUBLIC_NAME,
    PUBLIC_URL,
    ROOT,
    SERVICES,
    Browse,
    Edge,
    EdgeHandler,
    KratosServer,
    Mailbox,
    Program,
    Provider,
    ServeEdge,
    Slot,
    StartPortal,
    answers,
    free_port,
    wait_for,
)

SQL = """
CREATE ROLE portal; CREATE ROLE kratos;
CREATE ROLE portal_blue LOGIN PASSWORD 'blue-password' IN ROLE portal; ALTER ROLE portal_blue SET role portal;
CREATE ROLE portal_green LOGIN PASSWORD 'green-password' IN ROLE portal; ALTER ROLE portal_green SET role portal;
CREATE ROLE kratos_blue LOGIN PASSWORD 'blue-password' IN ROLE kratos; ALTER ROLE kratos_blue SET role kratos;
CREATE DATABASE portal OWNER portal;
CREATE DATABASE kratos OWNER kratos;
"""


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an empty PostgreSQL with the roles and databases of a slot; yields host and port."""
    folder = tmp_path_factory.mktemp("postgres")
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    as_postgres: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root.
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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create the certificate of edge and provider, alone in its folder; the key is in the parent folder."""
    folder = tmp_path_factory.mktemp("certificate")
    found, key = folder / "trusted/server.crt", folder / "server.key"
    found.parent.mkdir()
    name = ["-subj", f"/CN={PUBLIC_NAME}", "-addext", f"subjectAltName=DNS:{PUBLIC_NAME},IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(key), "-out", str(found)]
    command = ["openssl", "req", "-x509", "-days", "30", *curve, *name, *files]
    subprocess.run(command, check=True, capture_output=True)
    return found


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Provider]:
    """Run the lab's sign-in provider with this environment's client."""
    folder = tmp_path_factory.mktemp("provider")
    shutil.copytree(ROOT / "lab/images/control/provider", folder, dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(Path(os.environ["GREENROOM_PROVIDER"]) / "node_modules")
    shutil.copy(certificate, folder / "server.crt")
    shutil.copy(certificate.parents[1] / "server.key", folder / "server.key")
    client = {
        "client_id": "greenroom-staging",
        "client_secret": "a secret of the client, long enough",
        "redirect_uri": f"{PUBLIC_URL}/self-service/methods/oidc/callback/company",
        "password": "a pass phrase at the provider",
        "domain": "people.staging.invalid",
    }
    (folder / "clients.json").write_text(json.dumps([client]))
    issuer = f"https://127.0.0.1:{free_port()}"
    command = ["node", str(folder / "server.js"), issuer, str(folder), "127.0.0.1"]
    program = Program.start(command, folder / "provider.log")
    trust = ssl.create_default_context(cafile=str(certificate))
    wait_for("the provider", answers(f"{issuer}/.well-known/openid-configuration", verify=trust))
    yield Provider(issuer, client, program, trust)
    program.stop()


@pytest.fixture(scope="session")
def kratos(
    tmp_path_factory: pytest.TempPathFactory, postgres: str, mailbox: Mailbox, provider: Provider, certificate: Path
) -> Iterator[KratosServer]:
    """Run Kratos and its courier with the deployed configuration and the commands of their service files."""
    folder = tmp_path_factory.mktemp("kratos")
    source = SERVICES / "kratos/config"
    company = {
        "name": "company",
        "label": "the company account",
        "issuer": provider.issuer,
        "client_id": provider.client["client_id"],
    }
    templates = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
    templates.filters |= {"to_json": json.dumps, "provider_secret_path": "environment/oidc/{}".format}
    for file in source.iterdir():
        text = templates.from_string(file.read_text()).render(
            environment_public_url=PUBLIC_URL,
            environment_public_name=PUBLIC_NAME,
            environment_domain=DOMAIN,
            identity_providers=[company],
            providers={},
            secrets_values={"environment/oidc/company": provider.client},
        )
        (folder / file.name.removesuffix(".j2")).write_text(text.replace("/etc/kratos", str(folder)))
    public, admin = free_port(), free_port()
    environment = {
        "SSL_CERT_DIR": str(certificate.parent),
        "DSN": f"postgres://kratos_blue:blue-password@{postgres}/kratos?sslmode=disable",
        "SECRETS_COOKIE": f"{'n' * 32},{'o' * 32}",
        "SECRETS_CIPHER": f"{'n' * 32},{'o' * 32}",
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


@pytest.fixture(scope="session")
def start_portal(
    tmp_path_factory: pytest.TempPathFactory, postgres: str, kratos: KratosServer
) -> Iterator[StartPortal]:
    """Yield a function that migrates the database and starts a portal of a version in a slot."""
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
            "GREENROOM_RELEASE_ID": "0123456789abcdef" * 4,
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


@pytest.fixture
def serve_edge(certificate: Path, kratos: KratosServer) -> Iterator[ServeEdge]:
    """Yield a function that serves a slot at the public address over TLS and returns the certificate to trust."""
    servers: list[ThreadingHTTPServer] = []

    def serve(slot: Slot) -> Path:
        handler = type("Handler", (EdgeHandler,), {"transport": Edge(slot, kratos)})
        server = ThreadingHTTPServer(("127.0.0.1", EDGE_PORT), handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, certificate.parents[1] / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return certificate

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def browse(kratos: KratosServer, provider: Provider) -> Iterator[Browse]:
    """Yield a function that opens a browser on a slot."""
    opened: list[httpx.Client] = []

    def open_browser(slot: Slot) -> httpx.Client:
        browser = httpx.Client(
            base_url=PUBLIC_URL,
            transport=Edge(slot, kratos),
            mounts={provider.issuer: httpx.HTTPTransport(verify=provider.trust)},
            headers={"Accept": "text/html"},
            follow_redirects=True,
        )
        opened.append(browser)
        return browser

    yield open_browser
    for browser in opened:
        browser.close()
