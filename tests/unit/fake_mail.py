# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A mail server that takes all mail, for tests."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from email import message_from_string, policy
from email.message import EmailMessage


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
