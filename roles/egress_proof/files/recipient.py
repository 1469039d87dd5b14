# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The planted recipients: notes the token of whatever reaches this network namespace: recipient.py FILE.

Waits for the network card CARD, and gives it the recipients' addresses. A rule sends all TCP connections and UDP
packets to PORT. Each line of the file is a token, and the address at which it arrived.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

PORT = 9999
TOKEN = re.compile(rb"GR\d+x[0-9a-z]+z")
ORIGINAL = 80
"""SO_ORIGINAL_DST: where a connection was going before a rule sent it here."""
FOREIGN = "198.19.200.66"
CARD = "planted"
ADDRESSES = ("198.19.200.10/24", "198.19.200.53/24", f"{FOREIGN}/24")
SETTINGS = (
    "link set lo up",
    f"link set {CARD} up",
    *(f"address add {address} dev {CARD}" for address in ADDRESSES),
    f"-6 address add fdc6:c866::66/64 dev {CARD} nodad",
    "route add default via 198.19.200.1",
    "-6 route add default via fdc6:c866::1",
)
RULES = f"""
table inet planted {{
    chain prerouting {{
        type nat hook prerouting priority -100;
        meta l4proto {{ tcp, udp }} redirect to :{PORT}
    }}
}}
"""


class Recipient(socketserver.BaseRequestHandler):
    """Answers as HTTP; a path with `redirect` leads to a foreign address."""

    def handle(self) -> None:
        """Note the first bytes."""
        self.request.settimeout(5)
        original = "ipv6"
        if self.client_address[0].startswith("::ffff:"):
            original = socket.inet_ntoa(self.request.getsockopt(socket.SOL_IP, ORIGINAL, 16)[4:8])
        with contextlib.suppress(OSError):
            data = self.request.recv(8192)
            note(data, original)
            where = f"302 Found\r\nLocation: http://{FOREIGN}/" if b"redirect" in data else "200 OK"
            body = "Content-Length: 7\r\nConnection: close\r\n\r\nplanted"
            self.request.sendall(f"HTTP/1.1 {where}\r\n{body}".encode())


class Server(socketserver.ThreadingTCPServer):
    """Takes many connections at the same time."""

    address_family = socket.AF_INET6
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
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as own:
        # Many attempts arrive at once.
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        own.bind(("::", PORT))
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


def settle() -> None:
    """Give this namespace its network, once its card is there."""
    while CARD not in (name for _index, name in socket.if_nameindex()):
        time.sleep(0.05)
    for words in SETTINGS:
        # A host may have no IPv6.
        subprocess.run(["ip", *words.split()], check=not words.startswith("-6"))
    subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)


if __name__ == "__main__":
    settle()
    for each in (packets, pings):
        threading.Thread(target=each, daemon=True).start()
    server = Server(("::", PORT), Recipient)
    # The file says that it is ready, too.
    Path(sys.argv[1]).touch()
    server.serve_forever()
