# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""An edge host in a folder, with greenroom-edge's configuration, and a peer that answers over TLS, for tests."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.greenroom.common import durable
from ansible.module_utils.greenroom.switch import watchdog
from ansible.module_utils.greenroom.switch.bluegreen import State
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake_haproxy import FakeHaproxy

NAME = "portal.test"
PLACES = ("state_file", "map_file", "runtime_socket", "master_socket")


def make_certificate(name: str) -> tuple[bytes, bytes]:
    """A certificate that signs itself, and its key, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = serialization.Encoding.PEM
    return builder.sign(key, hashes.SHA256()).public_bytes(pem), key.private_bytes(pem, *form)


class Peer:
    """A peer's frontend: answers over TLS with `body`, or with what `answer` returns."""

    def __init__(self, folder: Path) -> None:
        certificate, key = make_certificate(NAME)
        self.ca_file = folder / "ca.crt"
        self.ca_file.write_bytes(certificate)
        pem = folder / "edge.pem"
        pem.write_bytes(certificate + key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.body = ""
        self.answer: Callable[[], bytes] = self.said
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def said(self) -> bytes:
        return f"HTTP/1.0 200 OK\r\nA: b\r\n\r\n{self.body}".encode()

    def serve(self) -> None:
        while True:
            try:
                client, _address = self.listener.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(client, server_side=True) as channel:
                    channel.recv(4096)
                    channel.sendall(self.answer())
            except OSError:
                client.close()


class Edge:
    """An edge host in a folder, with a configuration file of its own."""

    def __init__(self, folder: Path, peer: Peer) -> None:
        self.proxy = FakeHaproxy(folder, str(folder / "live.map"))
        self.state_file = folder / "state.json"
        self.map_file = folder / "live.map"
        self.map_file.touch()
        self.file = folder / "edge.json"
        self.given: dict[str, Any] = {
            "site": "staging",
            "peers": ["127.0.0.1"],
            "port": peer.port,
            "public_name": NAME,
            "ca_file": str(peer.ca_file),
            "state_file": str(self.state_file),
            "map_file": str(self.map_file),
            "runtime_socket": self.proxy.runtime_socket,
            "master_socket": self.proxy.master_socket,
            "watchdog_seconds": 0.05,
        }
        self.configure()

    def configure(self, **changes: Any) -> None:
        self.file.write_text(json.dumps({**self.given, **changes}))

    def run(self, command: str) -> int:
        return int(watchdog.main(command.split(), str(self.file)))

    def write(self, state: State) -> None:
        durable.write(str(self.state_file), state.as_json().encode())

    def state(self) -> State:
        return State.from_json(self.state_file.read_text())
