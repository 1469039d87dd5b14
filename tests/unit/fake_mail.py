# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Mail servers that take all mail, for tests: a plain one, and one that wants TLS and a login."""

from __future__ import annotations

import base64
import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from email import message_from_string, policy
from email.message import EmailMessage
from typing import Any


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 ready")
        while line := self.rfile.readline().decode().strip():
            if line.upper() == "DATA":
                self._say("354 go on")
                lines: list[str] = []
                while (text := self.rfile.readline().decode()) != ".\r\n":
                    lines.append(text.removesuffix("\r\n"))
                self.server.got.append(message_from_string("\n".join(lines), policy=policy.default))  # type: ignore[attr-defined]
            self._say("221 bye" if line.upper() == "QUIT" else "250 fine")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextlib.contextmanager
def mail_server() -> Iterator[tuple[int, list[EmailMessage]]]:
    """Run the server on 127.0.0.1; yields its port, and the list of the mails that it gets."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session) as server:
        server.got = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], server.got  # type: ignore[attr-defined]
        server.shutdown()


class _SecureSession(_Session):
    """Wants STARTTLS, unless the connection has TLS from its start, and then the server's login."""

    def handle(self) -> None:
        server: Any = self.server
        if server.implicit:
            self._secure()
        self._say("220 ready")
        secure, known = server.implicit, False
        while line := self.rfile.readline().decode().strip():
            word, _, rest = line.partition(" ")
            if word.upper() == "EHLO":
                self._say("250-here\r\n250 AUTH PLAIN" if secure else "250-here\r\n250 STARTTLS")
            elif word.upper() == "STARTTLS":
                self._say("220 go on")
                self._secure()
                secure = True
            elif word.upper() == "AUTH":
                login = base64.b64decode(rest.split()[-1]).decode().split("\0")[1:]
                known = secure and login == server.login
                self._say("235 fine" if known else "535 no")
            elif word.upper() == "DATA":
                self._say("354 go on")
                while self.rfile.readline() != b".\r\n":
                    pass
                server.got.append(secure and known)
                self._say("250 fine")
            elif word.upper() == "QUIT":
                self._say("221 bye")
            else:
                self._say("250 fine" if known else "530 log in first")

    def _secure(self) -> None:
        server: Any = self.server
        self.connection = self.request = server.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)


@contextlib.contextmanager
def secure_mail_server(
    context: ssl.SSLContext, login: list[str], *, implicit: bool = False
) -> Iterator[tuple[int, list[bool]]]:
    """Run the server on 127.0.0.1; yields its port, and for each mail whether it came with TLS and the login."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _SecureSession) as server:
        own: Any = server
        own.context, own.login, own.implicit, own.got = context, login, implicit, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], own.got
        server.shutdown()
