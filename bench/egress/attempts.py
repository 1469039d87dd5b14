# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tries to leave an environment on every route: attempts.py PLACE. Needs nothing but Python, also inside containers.

Each attempt carries the token GR<route>x<place>z, which whoever receives it finds in the first bytes. Prints the routes
that can't be tried here, for lack of a privilege.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable

LISTED, FOREIGN, RESOLVER = "198.19.200.10", "198.19.200.66", "198.19.200.53"
TLS_NAME, HTTP_NAME = "api.proof.test", "web.proof.test"
SECONDS = 3


def tcp(address: str, port: int, data: bytes) -> bytes:
    """Send `data` and return the response."""
    with socket.create_connection((address, port), SECONDS) as made:
        made.sendall(data)
        return made.recv(4096)


def udp(address: str, port: int, data: bytes) -> bytes:
    """Send `data` and return the response."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(SECONDS)
        made.sendto(data, (address, port))
        return made.recv(4096)


def http(address: str, host: str, token: str, line: str = "GET /", port: int = 80) -> bytes:
    """Send an HTTP request, with the token in a header."""
    return tcp(
        address, port, f"{line} HTTP/1.1\r\nHost: {host}\r\nX-Token: {token}\r\nConnection: close\r\n\r\n".encode()
    )


def tls(address: str, name: str | None, token: str, port: int = 443) -> None:
    """Begin a TLS handshake, with the token as a protocol's name, which is in the clear."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([token])
    with socket.create_connection((address, port), SECONDS) as made:
        context.wrap_socket(made, server_hostname=name)


def query(name: str, kind: int) -> bytes:
    """Return a DNS query: kind 1 is A, 16 is TXT."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"\x4d\x4d\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + struct.pack("!BHH", 0, kind, 1)


def address_of(name: str) -> str:
    """Return the address of a name that only the planted DNS server knows."""
    answer = udp(RESOLVER, 53, query(name, 1))
    if answer[3] & 15:
        raise OSError(f"no address of {name}")
    return socket.inet_ntoa(answer[-4:])


def dns_tcp(token: str) -> None:
    """Ask the planted DNS server over TCP."""
    asked = query(f"{token}.planted.test", 16)
    tcp(RESOLVER, 53, struct.pack("!H", len(asked)) + asked)


def ping(token: str) -> None:
    """Send an echo request with the token."""
    data = token.encode()
    head = struct.pack("!BBHHH", 8, 0, 0, 77, 1)
    words = struct.unpack(
        f"!{(len(head + data) + 1) // 2}H", (head + data).ljust((len(head + data) + 1) // 2 * 2, b"\0")
    )
    total = sum(words)
    total = (total >> 16) + (total & 0xFFFF)
    sent = struct.pack("!BBHHH", 8, 0, ~(total + (total >> 16)) & 0xFFFF, 77, 1) + data
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as made:
        made.settimeout(SECONDS)
        made.sendto(sent, (FOREIGN, 0))
        made.recv(4096)


def redirected(token: str) -> None:
    """Follow the redirect of a listed API to a foreign address."""
    answer = http(LISTED, HTTP_NAME, "", "GET /redirect")
    if b"302" in answer:
        http(FOREIGN, FOREIGN, token)


MAIL = "EHLO {}\r\n"
ROUTES: dict[str, Callable[[str], object]] = {
    "SMTP to an address, port 25": lambda token: tcp(FOREIGN, 25, MAIL.format(token).encode()),
    "SMTP to an address, port 465": lambda token: tls(FOREIGN, None, token, 465),
    "SMTP to an address, port 587": lambda token: tcp(FOREIGN, 587, MAIL.format(token).encode()),
    "SMTP to an address, port 2525": lambda token: tcp(FOREIGN, 2525, MAIL.format(token).encode()),
    "SMTP to a name, port 25": lambda token: tcp(address_of("mx.planted.test"), 25, MAIL.format(token).encode()),
    "SMTP to a name, port 587": lambda token: tcp(address_of("mx.planted.test"), 587, MAIL.format(token).encode()),
    "HTTP to an address": lambda token: http(FOREIGN, FOREIGN, token),
    "HTTP to a name that is not listed": lambda token: http(FOREIGN, "www.planted.test", token),
    "HTTPS to an address, without a name": lambda token: tls(FOREIGN, None, token),
    "HTTPS to a name that is not listed": lambda token: tls(FOREIGN, "www.planted.test", token),
    "HTTPS to a foreign address, with a listed name (SNI)": lambda token: tls(FOREIGN, TLS_NAME, token),
    "HTTP to a foreign address, with a listed name (Host)": lambda token: http(FOREIGN, HTTP_NAME, token),
    "CONNECT to port 443 of another host": lambda token: http(FOREIGN, HTTP_NAME, token, f"CONNECT {FOREIGN}:443"),
    "plain text on port 443": lambda token: tcp(FOREIGN, 443, token.encode()),
    "HTTPS on another port": lambda token: tls(FOREIGN, TLS_NAME, token, 8443),
    "a proxy on port 3128": lambda token: http(FOREIGN, FOREIGN, token, f"CONNECT {FOREIGN}:443", 3128),
    "SSH": lambda token: tcp(FOREIGN, 22, f"SSH-2.0-{token}\r\n".encode()),
    "UDP, port 443 (QUIC)": lambda token: udp(FOREIGN, 443, token.encode()),
    "UDP, any port": lambda token: udp(FOREIGN, 40404, token.encode()),
    "NTP's port": lambda token: udp(FOREIGN, 123, token.encode()),
    "DNS tunnel, A": lambda token: udp(RESOLVER, 53, query(f"{token}.planted.test", 1)),
    "DNS tunnel, TXT": lambda token: udp(RESOLVER, 53, query(f"{token}.planted.test", 16)),
    "DNS over TCP": dns_tcp,
    "DNS over TLS": lambda token: tls(RESOLVER, None, token, 853),
    "ICMP": ping,
    "a redirect of a listed API": redirected,
}


def main(place: str) -> None:
    """Try all routes at the same time."""
    impossible: list[str] = []

    def attempt(number: int, route: str) -> None:
        with contextlib.suppress(OSError):
            try:
                ROUTES[route](f"GR{number}x{place}z")
            except PermissionError as error:
                # Containers have no raw sockets. A firewall's refusal is the same error, but of a connection.
                if route == "ICMP" and os.geteuid() != 0:
                    impossible.append(f"{route}: {error}")

    threads = [threading.Thread(target=attempt, args=each) for each in enumerate(ROUTES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(impossible))


if __name__ == "__main__":
    main(sys.argv[1])
