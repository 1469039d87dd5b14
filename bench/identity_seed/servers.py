# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ory Kratos and its PostgreSQL on loopback, for benchmarks and for tests that make them fail.

GREENROOM_KRATOS names the Kratos binary; without it, the lab's latest build is used. PostgreSQL is Debian's. If one of
them is missing, an assertion fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.common import CACHE, ROOT, free_port

SERVICE = ROOT / "services" / "kratos"
SCHEMA = SERVICE / "config" / "identity.schema.json"
CONFIG = """\
version: v1.3.1
serve:
  public: {{host: 127.0.0.1, port: {public}, base_url: "http://kratos.invalid/"}}
  admin: {{host: 127.0.0.1, port: {admin}}}
dsn: postgres://postgres@127.0.0.1:{database}/kratos?sslmode=disable
secrets: {{cookie: [nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn], cipher: [nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn]}}
hashers: {{algorithm: bcrypt, bcrypt: {{cost: 12}}}}
identity:
  default_schema_id: default
  schemas: [{{id: default, url: "file://{schema}"}}, {{id: staff, url: "file://{staff}"}}]
selfservice:
  default_browser_return_url: http://kratos.invalid/
  methods:
    password: {{enabled: true, config: {{haveibeenpwned_enabled: false}}}}
    code: {{enabled: true}}
    totp: {{enabled: true}}
    lookup_secret: {{enabled: true}}
  flows: {{recovery: {{enabled: true, use: code}}}}
courier: {{smtp: {{connection_uri: "smtp://127.0.0.1:9/?disable_starttls=true"}}}}
log: {{level: error}}
"""


def staff_schema() -> dict[str, Any]:
    """Return another identity schema: the service's, with a trait that it requires in addition."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text())
    traits = schema["properties"]["traits"]
    traits["properties"]["desk"] = {"type": "string", "pattern": "^[A-F][1-9]$"}
    traits["required"].append("desk")
    return schema


def program() -> str:
    """Return the path of the Kratos binary."""
    built = sorted((CACHE / "kratos").glob("*/kratos"), key=lambda path: path.stat().st_mtime)
    found = os.environ.get("GREENROOM_KRATOS") or (str(built[-1]) if built else "")
    assert found, "no Kratos binary found: build it with `make lab`, or set GREENROOM_KRATOS to its path"
    return found


def wait_for(what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until `ready` returns true; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


@dataclass
class Server:
    """A Kratos that can be killed and started again."""

    folder: Path
    database: int
    public_port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def admin(self) -> str:
        """URL of the admin API."""
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def public(self) -> str:
        """URL of the public API."""
        return f"http://127.0.0.1:{self.public_port}"

    def prepare(self) -> None:
        """Write the configuration, and run the service's `migrate` and `prepare` commands."""
        config = CONFIG.format(
            public=self.public_port,
            admin=self.admin_port,
            database=self.database,
            schema=self.folder / "schema.json",
            staff=self.folder / "staff.json",
        )
        (self.folder / "kratos.yml").write_text(config)
        (self.folder / "schema.json").write_bytes(SCHEMA.read_bytes())
        (self.folder / "staff.json").write_text(json.dumps(staff_schema()))
        service = yaml.safe_load((SERVICE / "service.yml").read_text())
        for key in ("migrate", "prepare"):
            words = [word.replace("/etc/kratos", str(self.folder)) for word in service[key]]
            done = subprocess.run(
                [program(), *words],
                env={**os.environ, "DSN": f"postgres://postgres@127.0.0.1:{self.database}/kratos?sslmode=disable"},
                check=False,
                capture_output=True,
                text=True,
                timeout=180,
            )
            assert done.returncode == 0, done.stderr[-2000:]

    def start(self) -> None:
        """Start it and wait until both APIs are ready; they start independently."""
        command = [program(), "serve", "--dev", "--sqa-opt-out", "--config", str(self.folder / "kratos.yml")]
        with (self.folder / "kratos.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        for url in (self.public, self.admin):
            wait_for("Kratos", lambda url=url: self.ask("GET", f"{url}/health/ready")[0] == 200)  # type: ignore[misc]

    def kill(self) -> None:
        """Kill it, as kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def ask(self, method: str, url: str, data: Any = None, token: str = "") -> tuple[int, Any]:
        """Send one request; returns status and JSON. The status is 0 without a response. A path is of the admin API.

        `token` is a user's session.
        """
        address = url if url.startswith("http") else f"{self.admin}{url}"
        body = None if data is None else json.dumps(data).encode()
        headers = {"Content-Type": "application/json", **({"X-Session-Token": token} if token else {})}
        request = urllib.request.Request(address, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            text = error.read()
            with contextlib.suppress(ValueError):
                return error.code, json.loads(text)
            return error.code, None
        except OSError:
            return 0, None

    def logs_in(self, address: str, password: str) -> bool:
        """Log in with the API flow, and return whether that worked."""
        _status, flow = self.ask("GET", f"{self.public}/self-service/login/api")
        url = f"{self.public}/self-service/login?flow={flow['id']}"
        form = {"method": "password", "identifier": address, "password": password}
        return self.ask("POST", url, form)[0] == 200

    def level(self, address: str, password: str, **factor: str) -> str:
        """Log in with a password, then with a second factor if one is given; return the assurance level of the session.

        It is empty where the login fails, and where the user has a factor that wasn't given.
        """
        _status, flow = self.ask("GET", f"{self.public}/self-service/login/api")
        url = f"{self.public}/self-service/login?flow={flow['id']}"
        form = {"method": "password", "identifier": address, "password": password}
        token = (self.ask("POST", url, form)[1] or {}).get("session_token", "")
        if token and factor:
            _status, flow = self.ask("GET", f"{self.public}/self-service/login/api?aal=aal2", token=token)
            self.ask("POST", f"{self.public}/self-service/login?flow={flow['id']}", factor, token)
        status, session = self.ask("GET", f"{self.public}/sessions/whoami", token=token)
        return str(session["authenticator_assurance_level"]) if status == 200 else ""

    def identities(self, prefix: str = "") -> list[dict[str, Any]]:
        """Return all identities, or those whose login starts with `prefix`."""
        query = f"&preview_credentials_identifier_similar={prefix}" if prefix else ""
        found = self.ask("GET", f"/admin/identities?page_size=200000{query}")[1]
        assert isinstance(found, list)
        return found


@contextlib.contextmanager
def postgres(folder: Path, settings: Mapping[str, str]) -> Iterator[int]:
    """Run an empty PostgreSQL with a database `kratos`; yields its port."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), default=None)
    assert programs is not None, "no PostgreSQL found: install Debian's package postgresql"
    as_postgres: list[str] = []
    folder.mkdir(parents=True)
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_postgres = ["runuser", "-u", "postgres", "--"]
        subprocess.run(["chown", "postgres", folder], check=True)
        # Only the owner may enter temporary folders, so open those above this one for PostgreSQL.
        for parent in folder.parents:
            if parent in (Path("/"), Path(tempfile.gettempdir())):
                break
            parent.chmod(parent.stat().st_mode | 0o055)
    data, port = folder / "data", free_port()
    make = [*as_postgres, str(programs), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, cwd="/", timeout=180)
    given = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": str(folder), **settings}
    options = [f"-c{name}={value}" for name, value in given.items()]
    with (folder / "log").open("wb") as log:
        command = [*as_postgres, str(programs.with_name("postgres")), "-D", str(data), *options]
        process = subprocess.Popen(command, cwd="/", stderr=log)
    psql = ["psql", "-qX", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-c"]

    def ready() -> bool:
        return subprocess.run([*psql, "SELECT 1"], capture_output=True, check=False).returncode == 0

    try:
        wait_for("PostgreSQL", ready)
        subprocess.run([*psql, "CREATE DATABASE kratos"], check=True)
        yield port
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def kratos(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run Kratos with its own PostgreSQL, which gets `settings`."""
    with postgres(folder / "postgres", settings or {}) as port:
        server = Server(folder, port)
        server.prepare()
        server.start()
        try:
            yield server
        finally:
            server.kill()
