# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Hash the shared password of synthetic users. Runs only on the controller, which has bcrypt."""

from __future__ import annotations

import bcrypt

LONGEST = 72
"""The maximum length of a password in bcrypt, in bytes."""
COSTS = range(10, 17)


def validate(password: str, cost: int) -> None:
    """Raise ValueError for a password that bcrypt would truncate, or a cost that is too low or too slow."""
    secret = password.encode()
    if not secret or b"\0" in secret:
        raise ValueError("the password is empty or contains a NUL byte")
    if len(secret) > LONGEST:
        raise ValueError(f"the password has {len(secret)} bytes; bcrypt accepts at most {LONGEST}")
    if cost not in COSTS:
        raise ValueError(f"the cost must be {COSTS[0]} to {COSTS[-1]}, not {cost}")


def hash_password(password: str, cost: int) -> str:
    """Return a bcrypt hash of a valid password."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def with_salt(password: str, salt: str) -> str:
    """Return the hash of a password with the cost and salt of another bcrypt hash.

    It is empty if there is no such hash, or if it would take hours: an admin of Kratos may have chosen the cost.
    """
    try:
        return bcrypt.hashpw(password.encode(), salt.encode()).decode() if int(salt[4:6]) <= COSTS[-1] else ""
    except ValueError:
        return ""
