# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Passwords that are derived from a key: each user has a different one, and the key is enough to compute it."""

from __future__ import annotations

import base64
import hashlib
import hmac

ROUNDS = 1
"""A password with 125 random bits can't be guessed, so more rounds would only cost time."""


def person_password(secret: str, user_set: str, seed: str, key: str | int) -> str:
    """Return a user's password: 25 letters and digits (125 bits) in five groups.

    Raises ValueError for a secret of less than 16 bytes, because its passwords could be guessed.
    """
    if len(secret.encode()) < 16:
        raise ValueError("the password key must have at least 16 bytes")
    text = f"greenroom password\0{user_set}\0{seed}\0{key}"
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    letters = base64.b32encode(digest).decode().lower()
    return "-".join(letters[start : start + 5] for start in range(0, 25, 5))


def derived_hash(password: str) -> str:
    """Return the hash of a derived password in Kratos' import format. It is the same each time."""
    secret = password.encode()
    salt = hmac.new(secret, b"greenroom salt", hashlib.sha256).digest()[:16]
    raw = hashlib.pbkdf2_hmac("sha256", secret, salt, ROUNDS)
    return f"$pbkdf2-sha256$i={ROUNDS},l={len(raw)}${_text(salt)}${_text(raw)}"


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()
