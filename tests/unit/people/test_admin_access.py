"""An admin API behind authentication and a private CA."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.common import web
from ansible.module_utils.greenroom.people import kratos_client, options
from ansible.module_utils.greenroom.people.kratos import Kratos
from ansible.module_utils.greenroom.people.kratos_client import KratosError
from ansible.module_utils.greenroom.people.users import UsersError
from fake_kratos import FakeKratos, error
from webserver import Asked, Authority, Reply, serve

TOKEN = "Bearer ory_pat_of_a_test"
NOTHING: dict[str, Any] = {"headers": {}, "ca_file": None, "client_cert": None, "client_key": None}


def kratos(url: str, public_url: str | None = None, **given: Any) -> Kratos:
    """A client with these arguments of the module."""
    found: Kratos = Kratos(url, 20, web.Deadline(60), public_url, options.access_of({**NOTHING, "url": url, **given}))
    return found


def test_the_admin_api_gets_the_headers_and_no_other_server_does() -> None:
    server = FakeKratos()

    def admin(asked: Asked) -> Reply:
        if asked.headers.get("Authorization") != TOKEN:
            return error(401, "who are you?")
        return (
            Reply(302, "", [("Location", f"{public.url}/schemas")])
            if asked.path == "/schemas"
            else server.respond(asked)
        )

    with serve(server.respond) as public, serve(admin) as site:
        asked = kratos(site.url, headers={"Authorization": TOKEN})
        asked.ask_version()
        assert asked.version == "v1.3.1"
        assert asked.total() == 0
        # The admin API redirects to the public one.
        assert asked.schema("default")["properties"]
        assert {each.headers["Authorization"] for each in site.asked} == {TOKEN}
        assert [each.path for each in public.asked] == ["/schemas"]
        assert "Authorization" not in public.asked[0].headers
        with pytest.raises(KratosError, match=r"status 401: who are you\?; set headers or a client certificate"):
            kratos(site.url).ask_version()


def test_a_private_ca_and_a_client_certificate_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kratos_client, "FIRST_TIMEOUT", 0.1)
    authority = Authority(tmp_path)
    authority.context("client")
    (client,) = tmp_path.glob("*.pem")
    key, certificate = tmp_path / "client.key", tmp_path / "client.crt"
    head, mark, tail = client.read_text().partition("-----BEGIN CERTIFICATE-----")
    key.write_text(head)
    certificate.write_text(mark + tail)
    context = authority.context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca_file)
    ours = {"ca_file": authority.ca_file, "client_cert": str(certificate), "client_key": str(key)}
    with serve(FakeKratos().respond, context) as site:
        kratos(site.url, **ours).ask_version()
        kratos(site.url, **{**ours, "client_cert": str(client), "client_key": None}).ask_version()
        for missing, said in (
            ("ca_file", "certificate of 127.0.0.1 not accepted"),
            ("client_cert", "https://127.0.0.1"),
            ("client_key", f"client certificate {certificate}: "),
        ):
            given = {**ours, missing: None, **({"client_key": None} if missing == "client_cert" else {})}
            with pytest.raises(KratosError, match=said):
                kratos(site.url, **given).ask_version()
        with pytest.raises(KratosError, match=r"client certificate /nowhere: No such file"):
            kratos(site.url, ca_file=authority.ca_file, client_cert="/nowhere").ask_version()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "http://kratos.example.org:4434"}, "headers: they would be readable on their way"),
        ({"url": "http://127.0.0.2.example.org"}, "headers: they would be readable on their way"),
        ({"headers": {"X": "se\ncret"}}, "headers: 'X' can't be a header"),
        ({"headers": {"X Y": "secret"}}, "headers: 'X Y' can't be a header"),
        ({"client_key": "/key"}, "client_key: set client_cert, too"),
    ],
)
def test_what_would_give_secrets_away_is_refused_without_showing_them(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsersError) as caught:
        options.access_of({**NOTHING, "url": "https://kratos.example.org", "headers": {"X": "secret"}, **given})
    assert str(caught.value).startswith(said)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://a.example.org", "http://127.0.0.1:4434", "http://[::1]:4434", "http://localhost"]
)
def test_headers_may_be_sent_with_tls_or_on_the_same_host(url: str) -> None:
    access = options.access_of({**NOTHING, "url": url, "headers": {"X": "secret"}})
    assert access.headers == {"X": "secret"}
    assert "secret" not in repr(access)
    assert options.ARGUMENTS["headers"]["no_log"] is True
