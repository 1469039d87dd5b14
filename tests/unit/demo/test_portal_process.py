"""The demo portal as a process: settings, log lines, commands, faults that only a process has."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from portal import commands, server, work
from portal.app import create_app
from portal.logs import JsonFormatter, configure
from portal.metrics import Metrics
from portal.middleware import Faults
from portal.settings import Options, Settings, SettingsError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool
from starlette.types import Message, Receive, Scope, Send

from bench.common import free_port

ENVIRONMENT = {
    "DATABASE_URL": "postgres://portal_blue:hidden@database.test:5432/portal?sslmode=verify-full&sslrootcert=/ca.crt",
    "PORTAL_CSRF_KEYS": "newest-key-of-all,a-key-before-that",
    "PORTAL_CONFIG": "/nonexistent/portal.yml",
}
PORTAL = Path(__file__).resolve().parents[3] / "demo/portal"


def test_settings_have_defaults_but_no_default_secret() -> None:
    settings = Settings.from_environment(ENVIRONMENT)
    assert settings.csrf_keys == ("newest-key-of-all", "a-key-before-that")
    assert settings.database_url.drivername == "postgresql+psycopg"
    assert settings.database_url.query == {"sslmode": "verify-full", "sslrootcert": "/ca.crt"}
    assert (settings.kratos_url, settings.port, settings.options.fault) == ("http://kratos:4433", 8080, "none")
    assert "hidden" not in repr(settings)
    assert "newest" not in repr(settings)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL is missing"),
        ({"DATABASE_URL": "hidden nonsense"}, "DATABASE_URL is not a database URL"),
        ({"DATABASE_URL": "postgres://host:hidden/portal"}, "DATABASE_URL is not a database URL"),
        ({"PORTAL_CSRF_KEYS": ""}, "PORTAL_CSRF_KEYS is missing"),
        ({"PORTAL_CSRF_KEYS": "a-key-long-enough,hidden"}, "PORTAL_CSRF_KEYS needs keys of 16 characters"),
        ({"PORTAL_PORT": "http"}, "PORTAL_PORT is not a port"),
        ({"PORTAL_NEW_CHECKOUT": "hidden"}, "PORTAL_NEW_CHECKOUT is neither true nor false"),
    ],
)
def test_a_wrong_setting_is_named_and_not_shown(change: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        Settings.from_environment(ENVIRONMENT | change)
    assert "hidden" not in str(caught.value)


def test_a_variable_replaces_a_feature_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "portal.yml"
    file.write_text("features: {receipts: true, test_endpoints: true}")
    variables = {"PORTAL_CONFIG": str(file), "PORTAL_NEW_CHECKOUT": "true", "PORTAL_TEST_ENDPOINTS": "false"}
    features = Settings.from_environment(ENVIRONMENT | variables).options.features
    assert (features.new_checkout, features.receipts, features.test_endpoints) == (True, True, False)


WORKER = {
    "DATABASE_URL": ENVIRONMENT["DATABASE_URL"],
    "BROKER_URL": "amqps://worker_blue:hid%2Fden@broker.test/staging?cafile=/etc/ssl/certs/ca-certificates.crt",
    "SMTP_HOST": "mail.test",
    "SMTP_PORT": "1025",
}


def test_a_worker_has_settings_of_its_own() -> None:
    settings = Settings.from_environment(WORKER, worker=True)
    assert (settings.csrf_keys, settings.smtp_host, settings.smtp_port) == ((), "mail.test", 1025)
    assert "hid" not in repr(settings)
    address = work.parameters(settings)
    assert (address.host, address.port, address.virtual_host) == ("broker.test", 5671, "staging")
    assert (address.credentials.username, address.credentials.password) == ("worker_blue", "hid/den")
    assert address.ssl_options.server_hostname == "broker.test"
    with_login = Settings.from_environment(WORKER | {"SMTP_HOST": "", "SMTP_URL": "smtps://a:hidden@b/"}, worker=True)
    assert with_login.smtp_url == "smtps://a:hidden@b/"
    assert "hidden" not in repr(with_login)
    for url in ("mail.test:587", "http://hidden@b", "smtp://", "smtp://hidden@b:x"):
        with pytest.raises(SettingsError, match="SMTP_URL is not a URL") as refused:
            Settings.from_environment(WORKER | {"SMTP_URL": url}, worker=True)
        assert "hidden" not in str(refused.value)
    for name in ("BROKER_URL", "SMTP_HOST"):
        with pytest.raises(SettingsError, match=f"{name} is missing"):
            Settings.from_environment(WORKER | {name: ""}, worker=True)


@pytest.mark.parametrize(
    "url",
    [
        "amqp://worker:hidden@broker.test/staging?cafile=/dev/null",
        "amqps://worker:hidden@broker.test/staging",
        "amqps://worker:hidden@broker.test:port/staging?cafile=/dev/null",
        "amqps://broker.test/staging?cafile=/dev/null",
        "amqps://worker:hidden@broker.test/staging?cafile=/nonexistent",
    ],
)
def test_a_wrong_broker_is_named_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="BROKER_URL") as caught:
        work.parameters(Settings.from_environment(WORKER | {"BROKER_URL": url}, worker=True))
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", None),
        ("features: {new_checkout: true}\nfault: error_rate\nerror_percent: 5", None),
        ("features: {new_checkuot: true}", "features.new_checkuot"),
        ("fault: sometimes", "fault"),
        ("error_percent: 0", "error_percent"),
        ("features: [", "portal.yml"),
    ],
)
def test_options(tmp_path: Path, content: str, problem: str | None) -> None:
    file = tmp_path / "portal.yml"
    file.write_text(content)
    if problem is None:
        Options.read(file)
        return
    with pytest.raises(SettingsError, match=problem):
        Options.read(file)


@pytest.mark.parametrize(
    ("version", "head"), [("1.0.0", "0005"), ("1.1.0", "0006"), ("1.12.3", "0006"), ("2.0", "0006")]
)
def test_a_version_knows_its_schema(version: str, head: str) -> None:
    assert Settings.from_environment(ENVIRONMENT | {"PORTAL_VERSION": version}).schema_head == head


def test_log_lines_are_json() -> None:
    record = logging.LogRecord("portal", logging.INFO, "", 0, "say %s", ("so",), None)
    record.fields = {"request_id": "r1", "order": Path("x")}
    line = json.loads(JsonFormatter().format(record))
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "message": "say so", "request_id": "r1", "order": "x"}


def test_exceptions_stay_on_their_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        record = logging.LogRecord("portal", logging.ERROR, "", 0, "broken", None, sys.exc_info())
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "ValueError: first" in json.loads(line)["exception"]


def test_addresses_that_the_client_asks_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure()
        logging.getLogger("httpx").info("GET /self-service/login/flows?id=secret")
        logging.getLogger("portal").info("hello")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    shown = capsys.readouterr().out
    assert json.loads(shown)["message"] == "hello"


@pytest.mark.parametrize("arguments", [["dance"], ["serve", "now"]])
def test_an_unknown_command_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(arguments) == 2
    assert "usage: python -m portal [serve|work|migrate|seed]" in capsys.readouterr().err


def run_portal(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "portal", *arguments],
        env={"PYTHONPATH": str(PORTAL), **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_missing_setting_ends_with_one_line() -> None:
    result = run_portal("migrate")
    assert (result.returncode, result.stderr) == (2, "portal: environment variable PORTAL_CSRF_KEYS is missing\n")


def test_a_migration_without_database_fails_and_shows_no_password() -> None:
    database = f"postgres://portal_blue:hidden@127.0.0.1:{free_port()}/portal"
    result = run_portal("migrate", **ENVIRONMENT | {"DATABASE_URL": database})
    assert result.returncode == 1
    assert "migration failed" in result.stdout
    assert "hidden" not in result.stdout + result.stderr


def test_commands_hand_over_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, str]] = []

    def note(name: str) -> Callable[[Settings], int]:
        def run(settings: Settings) -> int:
            ran.append((name, settings.slot))
            return 0

        return run

    for name in commands.COMMANDS:
        monkeypatch.setitem(commands.COMMANDS, name, note(name))
    monkeypatch.setattr("portal.logs.configure", lambda: None)
    for key, value in {**ENVIRONMENT, "GREENROOM_SLOT": "blue"}.items():
        monkeypatch.setenv(key, value)
    assert [commands.main([]), commands.main(["migrate"])] == [0, 0]
    assert ran == [("serve", "blue"), ("migrate", "blue")]


def test_serving_is_graceful_and_keeps_metrics_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.from_environment(ENVIRONMENT | {"PORTAL_HOST": "127.0.0.1"})
    served: dict[str, object] = {}
    monkeypatch.setattr("portal.server.start_http_server", lambda port, **_: served.update(metrics=port))
    monkeypatch.setattr("uvicorn.run", lambda _app, **options: served.update(options))
    assert server.run(settings) == 0
    assert served["metrics"] == 8081
    assert served["timeout_graceful_shutdown"] == 12
    assert served["access_log"] is False


@pytest.mark.parametrize(
    ("strict", "version", "found", "starts"),
    [
        (True, "1.0.0", "0006", False),
        (True, "1.0.0", "0005", True),
        (True, "1.0.0", None, True),
        (True, "1.1.0", "0006", True),
        (False, "1.0.0", "0006", True),
    ],
)
def test_a_strict_portal_does_not_start_on_a_newer_schema(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    strict: bool,
    version: str,
    found: str | None,
    starts: bool,
) -> None:
    settings = Settings.from_environment(ENVIRONMENT | {"PORTAL_VERSION": version})
    object.__setattr__(settings, "options", Options(strict_schema=strict))
    engine = create_engine("sqlite://", poolclass=StaticPool)
    if found:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": found})
    # SQLite can't say that a table is missing in the same way as PostgreSQL.
    monkeypatch.setattr("portal.server.connect", lambda _settings: engine)
    monkeypatch.setattr("portal.orders.ProgrammingError", OperationalError)
    served: list[object] = []
    monkeypatch.setattr("portal.server.start_http_server", lambda *_args, **_options: None)
    monkeypatch.setattr("uvicorn.run", lambda app, **_options: served.append(app))
    assert server.run(settings) == (0 if starts else 1)
    assert bool(served) is starts
    said = [record.getMessage() for record in caplog.records]
    assert said == ([] if starts else ["the database's schema 0006 is newer than 0005, the newest that is known"])


def test_a_strict_portal_without_a_database_starts_and_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgres://portal:hidden@127.0.0.1:{free_port()}/portal"
    settings = Settings.from_environment(ENVIRONMENT | {"DATABASE_URL": url})
    object.__setattr__(settings, "options", Options(strict_schema=True))
    monkeypatch.setattr("portal.server.start_http_server", lambda *_args, **_options: None)
    monkeypatch.setattr("uvicorn.run", lambda _app, **_options: None)
    assert server.run(settings) == 0


class Process:
    """A portal without database and Kratos."""

    def __init__(self, folder: Path, options: str) -> None:
        (folder / "portal.yml").write_text(options)
        self.port = free_port()
        environment = ENVIRONMENT | {
            "PYTHONPATH": str(PORTAL),
            "PORTAL_CONFIG": str(folder / "portal.yml"),
            "PORTAL_HOST": "127.0.0.1",
            "PORTAL_PORT": str(self.port),
            "PORTAL_METRICS_PORT": str(free_port()),
            "DATABASE_URL": f"postgres://portal:hidden@127.0.0.1:{free_port()}/portal",
            "KRATOS_PUBLIC_URL": f"http://127.0.0.1:{free_port()}",
        }
        self.output = folder / "portal.log"
        with self.output.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "portal"], env=environment, stdout=stream, stderr=subprocess.STDOUT
            )

    def get(self, path: str, seconds: float = 60) -> tuple[int, str]:
        """Return status and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=seconds) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait_until_it_answers(self) -> None:
        """Wait for the port."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                self.get("/version")
                return
            except OSError:
                time.sleep(0.1)
        pytest.fail("the portal does not answer")


def test_everything_down_is_said_and_pages_still_open(tmp_path: Path) -> None:
    portal = Process(tmp_path, "")
    try:
        portal.wait_until_it_answers()
        status, body = portal.get("/readyz")
        assert status == 503
        assert json.loads(body)["problems"] == {"database": "unreachable (OperationalError)", "kratos": "ConnectError"}
        assert portal.get("/")[0] == 200
    finally:
        portal.process.terminate()
    assert portal.process.wait(60) == 0
    assert "hidden" not in portal.output.read_text()


def test_a_crashing_portal_starts_and_ends(tmp_path: Path) -> None:
    assert Process(tmp_path, "fault: crash").process.wait(120) == 3


def test_a_stop_during_the_start_is_heard(tmp_path: Path) -> None:
    portal = Process(tmp_path, "")
    handled = 1 << (signal.SIGTERM - 1)
    status = Path(f"/proc/{portal.process.pid}/status")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt:"))
        if int(caught.split()[1], 16) & handled:
            break
        time.sleep(0.002)
    os.kill(portal.process.pid, signal.SIGTERM)
    assert portal.process.wait(60) == 0


def test_a_hanging_health_check_never_answers() -> None:
    settings = Settings.from_environment(ENVIRONMENT)
    object.__setattr__(settings, "options", Options(fault="hang"))

    async def never(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    async def ask() -> None:
        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            raise AssertionError(message)

        await asyncio.wait_for(Faults(never, settings)({"type": "http", "path": "/readyz"}, receive, send), 0.1)

    with pytest.raises(TimeoutError):
        asyncio.run(ask())


def test_an_app_makes_its_own_connections() -> None:
    settings = Settings.from_environment(ENVIRONMENT)
    app = create_app(settings, Metrics(settings))
    assert app.state.kratos.admin_url == "http://kratos:4434"
    assert app.state.orders.engine.url.host == "database.test"
