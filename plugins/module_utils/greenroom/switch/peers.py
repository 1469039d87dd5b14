# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ask other edge hosts which state they have in effect: HAProxy there responds with its map's value, over TLS.

This runs every few seconds. Loading an HTTP library would cost more than the request, so it has a few lines of HTTP.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .bluegreen import State

LONGEST = 4096
"""Bytes of a response to read; a value with its headers has a few hundred."""


@dataclass(frozen=True)
class Peers:
    """The edge hosts to ask: their addresses, port and certificate's name, and the file with the CA that signs it."""

    addresses: Sequence[str]
    port: int
    name: str
    ca_file: str


def ask(peers: Peers, address: str, seconds: float) -> str:
    """Return a peer's map value ("" for none); raises OSError or ValueError if the peer doesn't give one."""
    give_up = time.monotonic() + seconds
    context = ssl.create_default_context(cafile=peers.ca_file)
    with (
        socket.create_connection((address, peers.port), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=peers.name) as channel,
    ):
        channel.sendall(f"GET / HTTP/1.0\r\nHost: {peers.name}\r\n\r\n".encode())
        answer = b""
        while len(answer) < LONGEST:
            left = give_up - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{address} did not answer within {seconds:g} s")
            channel.settimeout(left)
            chunk = channel.recv(LONGEST)
            if not chunk:
                break
            answer += chunk
    head, separator, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].decode(errors="replace").split()
    if not separator or status[1:2] != ["200"]:
        raise ValueError(f"{address} responded with {' '.join(status) or 'nothing'}")
    return body.decode(errors="replace").strip()


def states(peers: Peers, site: str, seconds: float) -> tuple[dict[str, State], dict[str, str]]:
    """Ask all peers at once; return the states in effect there, and the errors of the others, both by address.

    A peer where no slot was ever live is in neither.
    """
    found: dict[str, State] = {}
    problems: dict[str, str] = {}

    def question(address: str) -> None:
        try:
            if value := ask(peers, address, seconds):
                found[address] = State.from_value(site, value)
        except (OSError, ValueError) as error:
            problems[address] = str(error)

    threads = [threading.Thread(target=question, args=(address,), daemon=True) for address in peers.addresses]
    give_up = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, give_up - time.monotonic()))
    for address, thread in zip(peers.addresses, threads, strict=True):
        if thread.is_alive():
            problems.setdefault(address, f"no response within {seconds:g} s")
    return dict(found), problems
