# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The standard health check of gRPC (`grpc.health.v1`), as the bytes of one HTTP/2 connection.

Hosts have no HTTP/2 client, and HAProxy's HTTP checks have no body with zero bytes. But the request is always the same:
hosts and edge hosts send these bytes, and look for the status in those that come back.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from ..common.web import Deadline

PATH = "/grpc.health.v1.Health/Check"
SERVING = b"\0\0\0\0\2\x08\1"
"""The message of a healthy server: not compressed, two bytes, field 1 is 1."""
_STATUS = {b"": "UNKNOWN", b"\x08\2": "NOT_SERVING", b"\x08\3": "SERVICE_UNKNOWN"}
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Types and flags of frames.
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 1, 4
_LEAST = 9
"""Bytes of a frame's header."""
# An index and a length of HPACK that don't fit into seven bits continue in the next byte.
_SEVEN_BITS = 127
_MOST_BYTES = 65536


def request(authority: str, service: str) -> bytes:
    """Return what a client sends to ask about a `service`, or with "" about the server as a whole."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": PATH,
        ":authority": authority,
        "content-type": "application/grpc",
        "te": "trailers",
    }
    block = b"".join(b"\0" + _string(name) + _string(value) for name, value in headers.items())
    message = b"\x0a" + _string(service) if service else b""
    return b"".join(
        (
            _PREFACE,
            _frame(_SETTINGS, 0, 0, b""),
            _frame(_HEADERS, _END_HEADERS, 1, block),
            _frame(_DATA, _END_STREAM, 1, b"\0" + len(message).to_bytes(4, "big") + message),
        )
    )


def _string(text: str) -> bytes:
    """Return a text after its length, as HPACK writes it; Protocol Buffers do the same up to 126 bytes."""
    size, data = len(text.encode()), text.encode()
    if size < _SEVEN_BITS:
        return bytes((size,)) + data
    prefix, rest = [_SEVEN_BITS], size - _SEVEN_BITS
    while rest > _SEVEN_BITS:
        prefix.append(rest % 128 + 128)
        rest //= 128
    return bytes((*prefix, rest)) + data


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def ask(channel: socket.socket, authority: str, service: str, deadline: Deadline) -> str:
    """Ask on a new connection; returns "" if the server is healthy, otherwise what it says. Raises OSError."""
    channel.settimeout(deadline.wait())
    channel.sendall(request(authority, service))
    said = b""
    for kind, flags, payload in _frames(channel, deadline):
        if kind == _DATA:
            said += payload
        if said.startswith(SERVING):
            return ""
        if flags & _END_STREAM or kind in (_RST_STREAM, _GOAWAY):
            break
    if not said:
        # The reason is in compressed headers.
        return f"no health status; the server must know {PATH}" + (f" and the service {service}" if service else "")
    return f"health status {_STATUS.get(said[5:], 'unreadable')}"


def _frames(channel: socket.socket, deadline: Deadline) -> Iterator[tuple[int, int, bytes]]:
    """Yield (type, flags, payload) of the response's frames, and of a GOAWAY, until the connection ends."""
    data = b""
    while len(data) < _MOST_BYTES:
        while len(data) >= _LEAST and len(data) >= (end := _LEAST + int.from_bytes(data[:3], "big")):
            kind, flags, stream = data[3], data[4], int.from_bytes(data[5:9], "big")
            if stream or kind == _GOAWAY:
                yield kind, flags, data[_LEAST:end]
            data = data[end:]
        channel.settimeout(deadline.wait())
        more = channel.recv(_MOST_BYTES)
        if not more:
            return
        data += more
