# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""PostgreSQL's SCRAM-SHA-256 verifiers: what the server stores instead of a password (RFC 5803)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re

ITERATIONS = 4096
_FORMAT = re.compile(r"^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$")


def verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """Return the verifier of a password. It must be printable ASCII, so that SASLprep is not needed."""
    if not password or not password.isascii() or not password.isprintable():
        raise ValueError("a database password must be printable ASCII")
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"


def matches(stored: str | None, password: str) -> bool:
    """Return whether `stored` (from pg_authid.rolpassword) is a verifier of `password`."""
    found = _FORMAT.match(stored or "")
    if found is None:
        return False
    salt = base64.b64decode(found[2])
    return hmac.compare_digest(verifier(password, salt, int(found[1])), found[0])
