# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Hash the shared password of synthetic users. Runs only on the controller, which has bcrypt."""

from __future__ import annotations

import re

import bcrypt

LONGEST = 72
"""The maximum length of a password in bcrypt, in bytes."""
COSTS = range(10, 17)
_COST = re.compile(r"\$2[abxy]?\$(\d\d)\$")


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


def matches(password: str, hashed: str) -> bool:
    """Return whether a hash is one of this password. Only bcrypt hashes can be compared here.

    One with a cost that nobody should use would take hours, so it counts as another password.
    """
    cost = _COST.match(hashed)
    if cost is None or int(cost[1]) > COSTS[-1]:
        return False
    try:
        return bcrypt.checkpw(password.encode(), hashed.encode())
    except ValueError:
        return False
