# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The watch on the monitoring: one mail when it is silent for too long, and one when it works again."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from types import ModuleType

import pytest
from fake_mail import mail_server
from webserver import Asked, Reply, serve

PROGRAM = Path(__file__).parents[3] / "roles/alert_watch/templates/usr/local/lib/greenroom/alert-watch.j2"
FIRES, SILENT, BROKEN = Reply(200, '[{"labels": {}}]', []), Reply(200, "[]", []), Reply(500, "", [])


@pytest.fixture
def watch() -> ModuleType:
    """The program; its template has no variables."""
    loader = importlib.machinery.SourceFileLoader("alert_watch", str(PROGRAM))
    spec = importlib.util.spec_from_loader("alert_watch", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def clock(watch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def at(seconds: float) -> None:
        monkeypatch.setattr(watch.time, "time", lambda: 1_800_000_000 + seconds)

    return at


@pytest.mark.parametrize("trouble", [SILENT, BROKEN])
def test_silence_becomes_one_mail_and_its_end_too(
    watch: ModuleType, clock: Callable[[float], None], tmp_path: Path, trouble: Reply
) -> None:
    settings, state, reply = tmp_path / "settings.json", str(tmp_path / "state.json"), [FIRES]

    def respond(asked: Asked) -> Reply:
        assert asked.path.startswith("/api/v2/alerts")
        return reply[0]

    with serve(respond) as site, mail_server() as (port, got):
        more = {
            "host": "127.0.0.1",
            "port": port,
            "tls": False,
            "user": "",
            "sender": "a@test",
            "to": ["b@test", "c@test"],
        }
        settings.write_text(json.dumps({"environment": "shop", "alertmanagers": [site.url], "seconds": 180, **more}))

        def ask(seconds: float) -> int:
            clock(seconds)
            return int(watch.main(str(settings), state))

        assert ask(0) == 0
        reply[0] = trouble
        # A short silence is none.
        assert [ask(30), ask(180)] == [0, 0]
        assert not got
        assert [ask(181), ask(211)] == [1, 1]
        reply[0] = FIRES
        assert ask(241) == 0
    subjects = [str(mail["Subject"]) for mail in got]
    assert len(subjects) == 2
    assert subjects[0].startswith("[shop] monitoring: silent since 2027-01-15T08:00:00Z, no alerts are sent")
    assert subjects[1] == "[shop] monitoring: works again"
    assert got[0]["To"] == "b@test, c@test"


def test_a_mail_that_was_not_sent_is_tried_again(
    watch: ModuleType, clock: Callable[[float], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, state = tmp_path / "settings.json", tmp_path / "state.json"
    nobody = {"host": "127.0.0.1", "port": 1, "tls": False, "user": "", "sender": "a@test", "to": ["b@test"]}
    given = {"environment": "shop", "alertmanagers": ["http://127.0.0.1:1"], "seconds": 10, **nobody}
    settings.write_text(json.dumps(given))
    for seconds in (0, 20, 40):
        clock(seconds)
        watch.main(str(settings), str(state))
    assert capsys.readouterr().err.count("no mail was sent") == 2
    assert json.loads(state.read_text())["told"] is False


def test_a_password_is_sent_only_over_tls(watch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Server:
        def __init__(self, host: str, port: int, timeout: float) -> None:
            said.append(f"{host}:{port}")

        def __enter__(self) -> Server:
            return self

        def __exit__(self, *error: object) -> None:
            said.append("quit")

        def starttls(self, context: ssl.SSLContext) -> None:
            said.append("verified" if context.verify_mode == ssl.CERT_REQUIRED else "unverified")

        def login(self, user: str, password: str) -> None:
            said.append(f"{user} {password}")

        def send_message(self, message: EmailMessage) -> None:
            said.append(str(message["Subject"]))

    monkeypatch.setattr(watch.smtplib, "SMTP", Server)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "password").write_text("secret\n")
    settings = {"host": "mail.test", "port": 587, "tls": False, "user": "shop", "sender": "a@test", "to": ["b@test"]}
    watch.mail({**settings, "environment": "shop"}, "works again")
    assert said == ["mail.test:587", "verified", "shop secret", "[shop] monitoring: works again", "quit"]
