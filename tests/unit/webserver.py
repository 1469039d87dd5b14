# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Real servers on loopback for tests: HTTP and HTTPS that answer as a function says, and sockets that misbehave."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Asked:
    """A request as a server saw it."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: str

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body).items()}


@dataclass
class Reply:
    """What a server answers."""

    status: int = 200
    body: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Site:
    """A running server: its base `url`, its `port`, and what it was asked."""

    url: str
    port: int
    asked: list[Asked]


@contextlib.contextmanager
def serve(respond: Callable[[Asked], Reply], context: ssl.SSLContext | None = None) -> Iterator[Site]:
    """Run a server for the time of a with block."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            # By their own spelling: what is looked up is what was sent.
            headers = dict(self.headers.items())
            request = Asked(self.command, parts.path, parse_qs(parts.query), headers, body)
            asked.append(request)
            reply = respond(request)
            content = reply.body.encode()
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)

    class Server(ThreadingHTTPServer):
        # A client that comes while all of the few places are taken tries again a second later.
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    port = server.server_address[1]
    try:
        yield Site(f"{'https' if context else 'http'}://127.0.0.1:{port}", port, asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


@contextlib.contextmanager
def misbehave(behave: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """Accept connections and hand each to `behave`, with an event that says when the test is over; yields a port."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def treat(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            behave(client, over)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=treat, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.close()


def hang(client: socket.socket, over: threading.Event) -> None:
    """Accept and never answer."""
    over.wait(60)


def drip(client: socket.socket, over: threading.Event) -> None:
    """Answer one byte at a time and never come to an end."""
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not over.wait(0.1):
        client.sendall(b"x")


class Authority:
    """A certificate authority in a folder: `ca_file`, and server contexts for names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        builder = self._builder(self.name, self.key.public_key(), 30)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.ca_file = str(folder / "ca.crt")
        Path(self.ca_file).write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePublicKey, days: float) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )

    def context(self, name: str, days: float = 30) -> ssl.SSLContext:
        """Return a server's context with a certificate for `name` (and 127.0.0.1 if that is the name)."""
        key = ec.generate_private_key(ec.SECP256R1())
        with contextlib.suppress(ValueError):
            return self._context(key, x509.IPAddress(ipaddress.ip_address(name)), days)
        return self._context(key, x509.DNSName(name), days)

    def _context(self, key: ec.EllipticCurvePrivateKey, name: x509.GeneralName, days: float) -> ssl.SSLContext:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        builder = self._builder(subject, key.public_key(), days)
        certificate = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False).sign(
            self.key, hashes.SHA256()
        )
        chain = self.folder / f"{certificate.serial_number}.pem"
        chain.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context
