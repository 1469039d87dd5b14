# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One-time codes of the second factor TOTP (RFC 6238), as authenticator apps show them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from urllib.parse import parse_qs, urlsplit

PERIOD, DIGITS = 30, 6
"""What authenticator apps and Ory Kratos use: a new code of six digits every 30 seconds."""


def secret_of(text: str) -> str:
    """Return the secret of an otpauth:// URL; any other text is a secret already."""
    if not text.startswith("otpauth:"):
        return text
    return parse_qs(urlsplit(text).query).get("secret", [""])[0]


def code(secret: str, moment: float | None = None, digits: int = DIGITS) -> str:
    """Return the code of a secret (base32, or an otpauth:// URL) now, or at `moment`, in seconds since 1970.

    Raises ValueError for a text that is not a secret.
    """
    letters = secret_of(secret).replace(" ", "").upper().rstrip("=")
    key = base64.b32decode(letters + "=" * (-len(letters) % 8))
    if not key:
        raise ValueError("the secret is empty")
    counter = int((time.time() if moment is None else moment) // PERIOD)
    digest = hmac.new(key, counter.to_bytes(8, "big"), hashlib.sha1).digest()
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}d}"
