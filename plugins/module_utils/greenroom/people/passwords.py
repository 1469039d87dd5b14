# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Passwords that are derived from a key, and the hashes that hosts compute: they have only the standard library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any

ROUNDS = 1
"""A password with 125 random bits can't be guessed, so more rounds would only cost time."""
PBKDF2_ROUNDS = 210_000
"""What OWASP recommends for SHA-512, and what Keycloak uses itself."""
SCRYPT = {"n": 2**14, "r": 8, "p": 5}
"""The cost of a hash of a password that a human may have chosen: about that of bcrypt with a cost of 12."""


def set_key(secret: str, user_set: str, seed: str) -> str:
    """Return the key of a set, from which its passwords are derived. It tells nothing about other sets.

    Raises ValueError for a secret of less than 16 bytes, because its passwords could be guessed.
    """
    if len(secret.encode()) < 16:
        raise ValueError("the password key must have at least 16 bytes")
    return hmac.new(secret.encode(), f"greenroom set\0{user_set}\0{seed}".encode(), hashlib.sha256).hexdigest()


def person_password(secret: str, user_set: str, seed: str, key: str | int) -> str:
    """Return a user's password: 25 letters and digits (125 bits) in five groups. Raises ValueError like `set_key`."""
    return _derived_password(set_key(secret, user_set, seed), key)


def _derived_password(key_of_set: str, key: str | int) -> str:
    digest = hmac.new(key_of_set.encode(), f"greenroom password\0{key}".encode(), hashlib.sha256).digest()
    letters = base64.b32encode(digest).decode().lower()
    return "-".join(letters[start : start + 5] for start in range(0, 25, 5))


def derived_hash(password: str) -> str:
    """Return the hash of a derived password in Kratos' import format. It is the same each time."""
    secret = password.encode()
    salt = hmac.new(secret, b"greenroom salt", hashlib.sha256).digest()[:16]
    raw = hashlib.pbkdf2_hmac("sha256", secret, salt, ROUNDS)
    return f"$pbkdf2-sha256$i={ROUNDS},l={len(raw)}${_text(salt).rstrip('=')}${_text(raw).rstrip('=')}"


def own_hash(password: str) -> str:
    """Return a hash of a password in Kratos' import format. It is another one each time."""
    salt = secrets.token_bytes(16)
    raw = hashlib.scrypt(password.encode(), salt=salt, dklen=32, maxmem=2**26, **SCRYPT)
    return f"$scrypt$ln={SCRYPT['n']},r={SCRYPT['r']},p={SCRYPT['p']}${_text(salt)}${_text(raw)}"


def pbkdf2_hash(password: str) -> str:
    """Return a hash of a password for servers without bcrypt and scrypt. It is another one each time."""
    salt = secrets.token_bytes(16)
    raw = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ROUNDS)
    return f"$pbkdf2-sha512$i={PBKDF2_ROUNDS},l={len(raw)}${_text(salt).rstrip('=')}${_text(raw).rstrip('=')}"


def plain(password: str) -> str:
    """Return the password itself, for servers that hash it themselves."""
    return password


def hasher(given: Mapping[str, str], server: str = "kratos") -> Callable[[str], str]:
    """Return a function from a user's key to what the server gets as the password.

    `given` has the one `hash` of all, the `set_key` of derived passwords, or the `password` of users with a hash each.
    """
    each, derived = KINDS.get(server, (own_hash, derived_hash))
    if key := given.get("set_key"):
        return lambda person: derived(_derived_password(key, person))
    if password := given.get("password"):
        return lambda person: each(password)
    shared = given.get("hash", "")
    return lambda person: shared


KINDS: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "keycloak": (pbkdf2_hash, derived_hash),
    "scim": (plain, plain),
}
"""How servers other than Kratos get a password that a human may have chosen, and a derived one."""


def with_password(body: Mapping[str, Any], secret: str, hashed: bool) -> dict[str, Any]:
    """Return an identity with a password, which is `hashed` or not; without one if it is empty."""
    if not secret:
        return dict(body)
    kind = "hashed_password" if hashed else "password"
    return {**body, "credentials": {"password": {"config": {kind: secret}}}}


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
