# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Kratos' courier at mail servers with TLS and a login: codes never go over a connection without TLS."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.providers import providers
from fake_mail import mail_server, secure_mail_server
from webserver import Authority

from bench.common import ROOT
from bench.identity_seed import servers
from bench.identity_seed.servers import Server, wait_for

LOGIN = ["a user", "p:/@ss"]
SECRETS = {"mail/user": {"value": LOGIN[0]}, "mail/password": {"value": LOGIN[1]}}
MAIL = yaml.safe_load((ROOT / "providers/smtp/provider.yml").read_text())
Courier = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def kratos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.kratos(tmp_path_factory.mktemp("courier"), {"fsync": "off"}) as running:
        yield running


@pytest.fixture
def courier(kratos: Server, tmp_path: Path) -> Iterator[Courier]:
    """Yield a function that runs the courier with a mail server's URL and a trusted CA; it returns the log."""
    with contextlib.ExitStack() as stack:

        def start(url: str, ca_file: str) -> Path:
            secrets = {"user": {"given": "mail/user"}, "password": {"given": "mail/password"}}
            chosen = {"smtp": {"mode": "account", "url": url, "secrets": secrets}}
            mail = providers.resolved({"smtp": MAIL}, chosen, {})["smtp"]
            environment = {
                **os.environ,
                "DSN": f"postgres://postgres@127.0.0.1:{kratos.database}/kratos?sslmode=disable",
                "COURIER_SMTP_CONNECTION_URI": providers.login_url(mail, SECRETS),
                "SSL_CERT_FILE": ca_file,
            }
            command = yaml.safe_load((ROOT / "services/kratos-courier/service.yml").read_text())["command"]
            words = [word.replace("/etc/kratos", str(kratos.folder)) for word in command]
            log = tmp_path / "courier.log"
            with log.open("wb") as stream:
                program = subprocess.Popen([servers.program(), *words], env=environment, stdout=stream, stderr=stream)
            stack.callback(program.wait, 30)
            stack.callback(program.kill)
            return log

        yield start


def recover(kratos: Server, address: str) -> None:
    """Ask for a recovery code."""
    kratos.ask("POST", "/admin/identities", {"schema_id": "default", "traits": {"email": address}})
    flow = kratos.ask("GET", f"{kratos.public}/self-service/recovery/api")[1]
    url = f"{kratos.public}/self-service/recovery?flow={flow['id']}"
    assert kratos.ask("POST", url, {"method": "code", "email": address})[0] == 200


def message(kratos: Server, address: str) -> dict[str, Any]:
    """The mail to an address, as Kratos keeps it."""
    (found,) = kratos.ask("GET", f"/admin/courier/messages?recipient={address}")[1]
    return dict(found)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_recovery_code_is_sent_with_tls_and_the_login(
    kratos: Server, courier: Courier, tmp_path: Path, scheme: str
) -> None:
    authority, address = Authority(tmp_path), f"{scheme}-good@people.test"
    with secure_mail_server(authority.context("127.0.0.1"), LOGIN, implicit=scheme == "smtps") as (port, got):
        recover(kratos, address)
        courier(f"{scheme}://127.0.0.1:{port}", authority.ca_file)
        wait_for("the mail", lambda: message(kratos, address)["status"] == "sent")
    # Once, after TLS and the login.
    assert got == [True]
    assert message(kratos, address)["template_type"] == "recovery_code_valid"


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_with_a_wrong_certificate_gets_no_code(
    kratos: Server, courier: Courier, tmp_path: Path, scheme: str
) -> None:
    (tmp_path / "other").mkdir()
    unknown: ssl.SSLContext = Authority(tmp_path / "other").context("127.0.0.1")
    address = f"{scheme}-wrong@people.test"
    with secure_mail_server(unknown, LOGIN, implicit=scheme == "smtps") as (port, got):
        recover(kratos, address)
        log = courier(f"{scheme}://127.0.0.1:{port}", Authority(tmp_path).ca_file)
        wait_for("the refusal", lambda: "x509" in log.read_text())
        assert message(kratos, address)["status"] != "sent"
    assert got == []


def test_a_server_without_tls_gets_no_code(kratos: Server, courier: Courier, tmp_path: Path) -> None:
    with mail_server() as (port, got):
        recover(kratos, "plain@people.test")
        log = courier(f"smtp://127.0.0.1:{port}", Authority(tmp_path).ca_file)
        wait_for("the refusal", lambda: "TLS" in log.read_text())
        assert message(kratos, "plain@people.test")["status"] != "sent"
    assert got == []
