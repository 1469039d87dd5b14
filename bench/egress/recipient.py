# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The planted recipients: notes the token of whatever reaches this network namespace: recipient.py FILE.

A rule sends all TCP connections and UDP packets to PORT. Each line of the file is a token, and the address at which it
arrived.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import struct
import sys
import threading
from pathlib import Path

PORT = 9999
TOKEN = re.compile(rb"GR\d+x[0-9a-z]+z")
ORIGINAL = 80
"""SO_ORIGINAL_DST: where a connection was going before a rule sent it here."""
FOREIGN = "198.19.200.66"


class Recipient(socketserver.BaseRequestHandler):
    """Answers as HTTP; a path with `redirect` leads to a foreign address."""

    def handle(self) -> None:
        """Note the first bytes."""
        self.request.settimeout(5)
        original = self.request.getsockopt(socket.SOL_IP, ORIGINAL, 16)
        with contextlib.suppress(OSError):
            data = self.request.recv(8192)
            note(data, socket.inet_ntoa(original[4:8]))
            where = f"302 Found\r\nLocation: http://{FOREIGN}/" if b"redirect" in data else "200 OK"
            body = "Content-Length: 7\r\nConnection: close\r\n\r\nplanted"
            self.request.sendall(f"HTTP/1.1 {where}\r\n{body}".encode())


class Server(socketserver.ThreadingTCPServer):
    """Takes many connections at the same time."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512


LOCK = threading.Lock()


def note(data: bytes, address: str) -> None:
    """Write down the tokens."""
    with LOCK, Path(sys.argv[1]).open("a", encoding="ascii") as file:
        file.writelines(f"{token.decode()} {address}\n" for token in TOKEN.findall(data))


def packets() -> None:
    """Answer UDP packets: with a foreign address, if they are DNS queries."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("0.0.0.0", PORT))
        while True:
            data, sender = own.recvfrom(8192)
            note(data, "udp")
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + socket.inet_aton(FOREIGN)
            own.sendto(data[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + data[12:] + answer, sender)


def pings() -> None:
    """Note what echo requests carry."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as own:
        while True:
            data = own.recv(8192)
            # Echo requests, behind the IP header. The answers that this host sends aren't received here.
            if data[20] == 8:
                note(data, "icmp")


if __name__ == "__main__":
    for each in (packets, pings):
        threading.Thread(target=each, daemon=True).start()
    Server(("0.0.0.0", PORT), Recipient).serve_forever()
