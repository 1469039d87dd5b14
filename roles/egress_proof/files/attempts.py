# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tries to leave an environment on every route, from every place of a host: attempts.py PHASE HOST SLOT.

A place is an account, a job of systemd, a container of the live slot, or a one-off container in its network. Attempts
of containers run in their network namespace, so containers need nothing for it. Each attempt carries the token
GR<route>x<place><phase>z, which a recipient finds in the first bytes. Prints {routes, places: {id: name},
impossible: [[route, place]], refused} as JSON; impossible is what lacks a privilege or IPv6.
Refused is how many packets the host's firewall refused meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

LISTED, FOREIGN, RESOLVER = "198.19.200.10", "198.19.200.66", "198.19.200.53"
FOREIGN6 = "fdc6:c866::66"
TLS_NAME, HTTP_NAME = "api.proof.test", "web.proof.test"
SECONDS = 8
TRIES = 3
"""How often a packet without a response is sent: a busy host may lose one."""
ONCE = "greenroom-egress-proof"


def tcp(address: str, port: int, data: bytes) -> bytes:
    """Send `data` and return the response."""
    with socket.create_connection((address, port), SECONDS) as made:
        made.sendall(data)
        return made.recv(4096)


def udp(address: str, port: int, data: bytes) -> bytes:
    """Send `data` and return the response."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as made:
        return answered(made, data, (address, port))


def answered(made: socket.socket, data: bytes, where: tuple[str, int]) -> bytes:
    """Send a packet until there is a response, and return that."""
    made.settimeout(1.5)
    for _ in range(TRIES):
        made.sendto(data, where)
        with contextlib.suppress(TimeoutError):
            return made.recv(4096)
    raise TimeoutError


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
        answered(made, sent, (FOREIGN, 0))


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
    "IPv6: HTTPS": lambda token: tls(FOREIGN6, TLS_NAME, token),
    "IPv6: SMTP, port 25": lambda token: tcp(FOREIGN6, 25, MAIL.format(token).encode()),
    "IPv6: UDP": lambda token: udp(FOREIGN6, 443, token.encode()),
    "a redirect of a listed API": redirected,
}


NUMBERS = {route: number for number, route in enumerate(ROUTES)}
NO_IPV6 = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def attempts(place: str) -> list[str]:
    """Try all routes at the same time; return those that can't be tried here."""
    impossible: list[str] = []

    def attempt(route: str) -> None:
        try:
            ROUTES[route](f"GR{NUMBERS[route]}x{place}z")
        except OSError as error:
            # A firewall's refusal is a PermissionError, too, but not where the socket is made.
            no_socket = route == "ICMP" and not raw_sockets()
            if no_socket or ("IPv6" in route and error.errno in NO_IPV6):
                impossible.append(route)

    threads = [threading.Thread(target=attempt, args=(route,)) for route in ROUTES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return impossible


def raw_sockets() -> bool:
    """Return whether this process may make raw sockets."""
    with contextlib.suppress(PermissionError), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP):
        return True
    return False


def podman(*words: str) -> str:
    """Return what podman prints."""
    return subprocess.run(["podman", *words], check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def places(slot: str) -> Iterator[dict[str, list[str]]]:
    """Yield how each place of this host starts a program."""
    found = {
        "root": [],
        "nobody": ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
        "job of systemd": ["systemd-run", "--quiet", "--pipe", "--wait", "--collect"],
    }
    if not slot:
        yield found
        return
    running = [line.split() for line in podman("ps", "--format", "{{.Names}} {{.Pid}} {{.ImageID}}").splitlines()]
    own = [each for each in running if each[0].endswith(f"-{slot}")]
    found |= {name.removesuffix(f"-{slot}"): ["nsenter", "--net", "--target", pid] for name, pid, _image in own}
    if not own:
        yield found
        return
    podman("create", "--replace", "--name", ONCE, "--network", f"greenroom-{slot}", own[0][2])
    try:
        # It has its network then, and its process doesn't start.
        podman("init", ONCE)
        pid = podman("inspect", "--format", "{{.State.Pid}}", ONCE)
        yield found | {"one-off container": ["nsenter", "--net", "--target", pid]}
    finally:
        podman("rm", "--force", ONCE)


def refused() -> int:
    """Return how many packets this host's firewall has refused."""
    words = ["nft", "--json", "list", "counter", "inet", "greenroom", "egress_refused"]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return int(next(each["counter"]["packets"] for each in json.loads(text)["nftables"] if "counter" in each))


def main(phase: str, host: str, slot: str = "") -> None:
    """Try all routes from all places at the same time."""
    known, impossible = {}, []
    before = refused()
    with places(slot) as ways:
        started = []
        for name, words in ways.items():
            place = hashlib.sha256(f"{host} {name}".encode()).hexdigest()[:8]
            known[place] = f"{host}: {name}"
            command = [*words, sys.executable, __file__, f"{place}{phase}"]
            started.append((place, subprocess.Popen(command, stdout=subprocess.PIPE, text=True)))
        for place, process in started:
            out, _nothing = process.communicate(timeout=120)
            if process.returncode:
                sys.exit(f"{known[place]}: {process.returncode}")
            impossible += [[route, place] for route in json.loads(out)]
    found = {"routes": list(ROUTES), "places": known, "impossible": impossible, "refused": refused() - before}
    print(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(json.dumps(attempts(sys.argv[1])))
    else:
        main(*sys.argv[1:])
