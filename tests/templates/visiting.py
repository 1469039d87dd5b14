# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Requests of visitors to a rendered edge, byte by byte."""

from __future__ import annotations

import base64
import hashlib
import hmac

from rendering import SECRET

HOST = "portal.staging.greenroom.test"
COOKIE = "__Host-greenroom_visitor"
FUTURE = 4_000_000_000


def request(
    path: str = "/api", *headers: str, method: str = "GET", host: str = HOST, version: str = "1.1", body: str = ""
) -> str:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/{version}", f"Host: {host}", *headers]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "".join(f"{line}\r\n" for line in [*lines, ""]) + body


def signed(until: int) -> str:
    """A visitor's cookie that is valid until a time, as only the edge can make it."""
    key = hashlib.sha256(f"cookie {SECRET}".encode()).hexdigest()
    return f"{COOKIE}={until}.{hmac.new(key.encode(), str(until).encode(), 'sha256').hexdigest().upper()}"


def basic(password: str) -> str:
    """The header with a visitor's password."""
    return "Authorization: Basic " + base64.b64encode(f"visitor:{password}".encode()).decode()


PASSWORD = basic(SECRET)
