# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""An SSH key (Ed25519) that follows from a secret, so that two hosts know its halves without asking each other.

Runs on the controller only (needs the cryptography package).
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def _key(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"ssh {secret}".encode()).digest())


def private_key(secret: str) -> str:
    """Return the private key (PKCS #8), always the same text: OpenSSH's own format has random parts."""
    encoded = _key(secret).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded.decode()


def public_key(secret: str) -> str:
    """Return the public key as in authorized_keys."""
    encoded = _key(secret).public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return encoded.decode()
