# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""New secrets. All are generated; none has a default.

Runs on the controller only (needs the cryptography package).
"""

from __future__ import annotations

import secrets
import string

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

# Kratos needs cipher keys of 32 characters. These characters need no quotes in addresses and environment files.
LENGTH = 32
ALPHABET = string.ascii_letters + string.digits


def generate(length: int = LENGTH) -> str:
    """Return `length` random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_key() -> str:
    """Return a new private key (PEM), in the form that ACME clients read."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def new_secret(path: str) -> dict[str, str]:
    """Return a new secret for the path `<owner>/<kind>/<name>`, with the key that its kind has."""
    kind = path.split("/")[1]
    if kind == "acme":
        return {"account_key": new_key(), "certificate_key": new_key()}
    return {
        {"login": "password", "broker": "password", "cache": "password", "ring": "values", "value": "value"}[
            kind
        ]: generate()
    }
