# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""New secrets: every one is generated, none has a default."""

from __future__ import annotations

import secrets
import string

# Kratos demands 32 characters of a cipher key, and all of them fit into an address and an environment file unquoted.
LENGTH = 32
ALPHABET = string.ascii_letters + string.digits


def generate(length: int = LENGTH) -> str:
    """Return `length` random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_secret(path: str) -> dict[str, str]:
    """Return a first value for the secret at `<owner>/<kind>/<name>`, in the shape of its kind."""
    kind = path.split("/")[1]
    return {{"login": "password", "broker": "password", "ring": "values", "value": "value"}[kind]: generate()}
