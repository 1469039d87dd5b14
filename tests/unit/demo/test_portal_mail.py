# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The demo portal's worker reaches mail servers as providers describe them: with TLS, and with a login."""

from __future__ import annotations

import json
import smtplib
import ssl
import uuid
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_mail import mail_server, secure_mail_server
from portal import mail, work
from portal.settings import Settings
from portal.tables import metadata, orders
from sqlalchemy import create_engine, insert, make_url
from sqlalchemy.pool import StaticPool
from webserver import Authority

ORDER = uuid.UUID(int=7)
LOGIN = ["a user", "p:/@ss"]


def settings(port: int, scheme: str, login: str = "a%20user:p%3A%2F%40ss@", query: str = "") -> Settings:
    return Settings(make_url("postgresql+psycopg://x"), smtp_url=f"{scheme}://{login}127.0.0.1:{port}/{query}")


def send(own: Settings) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "orders@shop.test", "ada@people.test"
    with mail.connect(own) as server:
        server.send_message(message)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A mail server's certificate, which clients trust."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", authority.ca_file)
    return authority.context("127.0.0.1")


@pytest.mark.parametrize("implicit", [False, True])
def test_mail_goes_with_tls_and_the_login(context: ssl.SSLContext, implicit: bool) -> None:
    with secure_mail_server(context, LOGIN, implicit=implicit) as (port, got):
        send(settings(port, "smtps" if implicit else "smtp"))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            send(settings(port, "smtps" if implicit else "smtp", "a%20user:wrong@"))
    assert got == [True]


@pytest.mark.parametrize("implicit", [False, True])
def test_a_server_that_is_not_trusted_gets_no_login(tmp_path: Path, implicit: bool) -> None:
    unknown = Authority(tmp_path).context("127.0.0.1")
    with (
        secure_mail_server(unknown, LOGIN, implicit=implicit) as (port, got),
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        send(settings(port, "smtps" if implicit else "smtp"))
    assert got == []


def test_a_server_without_tls_gets_mail_only_where_the_url_says_so() -> None:
    with mail_server() as (port, got):
        with pytest.raises(smtplib.SMTPNotSupportedError):
            send(settings(port, "smtp", ""))
        assert got == []
        send(settings(port, "smtp", "", "?disable_starttls=true"))
        assert len(got) == 1
        send(Settings(make_url("postgresql+psycopg://x"), smtp_host="127.0.0.1", smtp_port=port))
        assert len(got) == 2


def test_a_mail_server_that_is_down_delays_the_mail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The order was taken, and its job stays with the worker until the mail server is back."""
    ca = Authority(tmp_path).ca_file
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    row = {"id": ORDER, "owner": "ada", "item": "Headset", "quantity": 1, "total_cents": 14900, "state": "placed"}
    with engine.begin() as connection:
        connection.execute(insert(orders).values(row | {"created_at": datetime.now(UTC)}))
    job = {"order": str(ORDER), "to": "ada@people.test", "item": "Headset", "quantity": 1, "total_cents": 14900}
    done: list[str] = []
    channel: Any = SimpleNamespace(
        basic_ack=lambda _tag: done.append("ack"), basic_nack=lambda _tag, requeue: done.append("nack")
    )
    method: Any = SimpleNamespace(delivery_tag=1, redelivered=False)
    with mail_server() as (port, got):
        broker = f"amqps://worker:hidden@broker.test/x?cafile={ca}"
        own = Settings(make_url("sqlite://"), broker_url=broker, smtp_host="127.0.0.1", smtp_port=port)
        worker = work.Worker(own, engine)
        real = mail.connect
        waits: list[float] = []

        def down(settings: Settings) -> smtplib.SMTP:
            if len(waits) < 3:
                raise ConnectionRefusedError
            return real(settings)

        monkeypatch.setattr(mail, "connect", down)
        monkeypatch.setattr(worker, "_wait", lambda _connection, seconds: waits.append(seconds))
        worker._do(SimpleNamespace(), channel, method, "job", json.dumps(job).encode())
        assert (done, len(got), waits) == (["ack"], 1, [1.0, 2.0, 4.0])
