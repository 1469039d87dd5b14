# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The certificate of the continuous backup: TLS with it works both ways, and with no other one."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.controller.hosts.backup_certificate import NAME, certificate
from cryptography import x509

HOSTS = ["198.18.10.41", "198.18.10.31"]


def test_it_is_always_the_same_and_names_the_addresses_as_texts() -> None:
    found = certificate("secret", HOSTS)
    assert found == certificate("secret", HOSTS[::-1])
    own = x509.load_pem_x509_certificate(found["certificate"].encode())
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == sorted(HOSTS)
    assert own.subject.rfc4514_string() == f"CN={NAME}"
    assert certificate("another", HOSTS) != found != certificate("secret", ["10.0.0.1"])


def context(folder: Path, name: str, secret: str, purpose: ssl.Purpose) -> ssl.SSLContext:
    own = certificate(secret, HOSTS)
    for part, text in own.items():
        (folder / f"{name}-{part}").write_text(text)
    made = ssl.create_default_context(purpose, cafile=str(folder / f"{name}-certificate"))
    made.load_cert_chain(folder / f"{name}-certificate", folder / f"{name}-private_key")
    made.verify_mode = ssl.CERT_REQUIRED
    made.check_hostname = False
    return made


@pytest.mark.parametrize(("secret", "accepted"), [("secret", True), ("another", False)])
def test_both_sides_prove_themselves_with_it(tmp_path: Path, secret: str, accepted: bool) -> None:
    server = context(tmp_path, "server", "secret", ssl.Purpose.CLIENT_AUTH)
    client = context(tmp_path, "client", secret, ssl.Purpose.SERVER_AUTH)
    near, far = socket.socketpair()
    said: list[str] = []

    def serve() -> None:
        try:
            with server.wrap_socket(far, server_side=True) as wrapped:
                said.append(wrapped.recv(5).decode())
        except (ssl.SSLError, OSError):
            said.append("")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(near) as wrapped:
            wrapped.sendall(b"hello")
    except (ssl.SSLError, OSError):
        near.close()
    thread.join()
    assert (said == ["hello"]) == accepted
