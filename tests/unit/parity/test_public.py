# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What clients see of a real server with TLS."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.common.web import Network
from ansible.module_utils.greenroom.controller.parity.public import look
from webserver import Asked, Authority, Reply, serve

NAME = "portal.greenroom.test"


def seen(
    tmp_path: Path, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, trusted: bool = True, password: str = "Basic x"
) -> dict[str, Any]:
    """The part of a server that asks for a password, and redirects from its port without TLS."""

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("Authorization") != "Basic x":
            return Reply(401)
        cookie = ("Set-Cookie", f"session={len(asked.path)}-{id(asked)}; Path=/; Secure")
        policy = ("Content-Security-Policy", f"script-src 'nonce-{id(asked):x}'")
        return Reply(200, str(id(asked)), [cookie, policy, ("X-Frame-Options", "DENY")])

    authority = Authority(tmp_path)
    context = authority.context(NAME)
    context.minimum_version = oldest
    network = Network(resolve={NAME: "127.0.0.1"}, ca_file=authority.ca_file if trusted else None)
    redirect = [("Location", f"https://{NAME}/")]
    with serve(answer, context) as secure, serve(lambda _asked: Reply(301, "", redirect)) as plain:
        found: dict[str, Any] = look(
            NAME, ["/", "/orders"], network, {"Authorization": password} if password else {}, (secure.port, plain.port)
        )
    return found


def test_all_of_it_is_read_and_twice_the_same(tmp_path: Path) -> None:
    found = seen(tmp_path)
    assert found["unread"] == {}
    items = found["items"]
    assert [items["handshake with TLS 1.0"], items["handshake with TLS 1.1"]] == ["refused", "refused"]
    assert items["handshake with TLS 1.3"].startswith("TLS_")
    assert items["certificate"] == {"trusted": "yes", "issuer": "commonName=Test CA", "names": [NAME]}
    assert (items["port 80"]["status"], items["port 80"]["location"]) == (301, [f"https://{NAME}/"])
    assert items["GET /orders"] == {
        "status": 200,
        "content-security-policy": ["script-src 'nonce-…'"],
        "server": items["GET /"]["server"],
        "set-cookie": ["session; Path=/; Secure"],
        "x-frame-options": ["DENY"],
    }
    another = tmp_path / "again"
    another.mkdir()
    again = seen(another)["items"]
    assert again["GET /"] == items["GET /"]


def test_a_server_that_still_speaks_an_old_version_differs(tmp_path: Path) -> None:
    assert seen(tmp_path, ssl.TLSVersion.TLSv1_3)["items"]["handshake with TLS 1.2"] == "refused"
    assert seen(tmp_path, ssl.TLSVersion.TLSv1_2)["items"]["handshake with TLS 1.2"] != "refused"


def test_a_certificate_that_clients_do_not_trust_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    found = seen(tmp_path, trusted=False)
    assert found["items"]["certificate"] == {"trusted": "unable to get local issuer certificate"}
    assert "GET /" in found["unread"]


def test_what_lies_behind_a_password_is_unknown_without_it(tmp_path: Path) -> None:
    found = seen(tmp_path, password="")
    assert found["unread"]["GET /"] == "it asks visitors for a password; give snapshot_headers"
    assert found["items"]["port 80"]["status"] == 301


def test_a_server_that_is_down_is_unknown() -> None:
    found = look(NAME, ["/"], Network(resolve={NAME: "127.0.0.1"}), {}, (1, 1))
    assert found["items"] == {}
    assert len(found["unread"]) == 7
