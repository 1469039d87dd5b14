# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures new connections until the first byte of the response; prints {protocol: [p50, p99]} in ms as JSON."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import statistics
import time

ADDRESS = "198.19.200.10"
CALLS = 500


def hello(name: str) -> bytes:
    """Return the first message of a TLS handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def took(port: int, data: bytes) -> float:
    """Return the milliseconds of one call."""
    start = time.perf_counter()
    with socket.create_connection((ADDRESS, port), 10) as made:
        made.sendall(data)
        made.recv(1)
    return (time.perf_counter() - start) * 1000


kinds = {
    "HTTP": (80, b"GET / HTTP/1.1\r\nHost: web.proof.test\r\nConnection: close\r\n\r\n"),
    "TLS": (443, hello("api.proof.test")),
}
found = {}
for kind, call in kinds.items():
    times = statistics.quantiles([took(*call) for _ in range(CALLS)], n=100)
    found[kind] = [times[49], times[98]]
print(json.dumps(found))
