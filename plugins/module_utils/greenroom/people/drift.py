# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a listing of Ory Kratos tells about changes by hand.

Kratos 1.3.1 doesn't change an identity's `updated_at`. But with every change of an identity it writes the credentials
again, and so their `updated_at` tells that something has changed, and not what.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from .client import Identity
from .ownership import logins_of

FACTORS = ("totp", "lookup_secret")
"""The second factors, as Kratos names them."""

_SALT = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{22}")


def changed_at(identity: Identity) -> float:
    """Return when Kratos last wrote the password of an identity, in seconds; 0 without one, or if it isn't told."""
    text = _password(identity).get("updated_at")
    return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else 0


def password_hash(identity: Identity) -> str:
    """Return the password hash of an identity that was asked for with it, empty without one."""
    config = _password(identity).get("config")
    return str(config.get("hashed_password") or "") if isinstance(config, dict) else ""


def salt_of(hashed: str) -> str:
    """Return a bcrypt hash up to its salt, which tells nothing about the password; empty for another kind of hash."""
    found = _SALT.match(hashed)
    return found[0] if found else ""


def added_credentials(identity: Identity) -> list[tuple[str, dict[str, str]]]:
    """Return the second factors and accounts at sign-in providers that an identity has: each kind, and which of it."""
    credentials = identity.get("credentials") or {}
    accounts = (credentials.get("oidc") or {}).get("identifiers") or []
    factors: list[tuple[str, dict[str, str]]] = [(kind, {}) for kind in FACTORS if kind in credentials]
    return factors + [("oidc", {"identifier": name}) for name in accounts]


def other_address(identity: Identity, address: str) -> str:
    """Return the address with which an identity logs in, empty if that is the expected one."""
    # Accounts at sign-in providers have names such as google:ada@example.org, which are no addresses.
    credentials = {kind: each for kind, each in (identity.get("credentials") or {}).items() if kind != "oidc"}
    known = {**identity, "credentials": credentials}
    return "" if address in logins_of(known) else next((login for login in logins_of(known) if "@" in login), "")


def _password(identity: Identity) -> dict[str, Any]:
    found = (identity.get("credentials") or {}).get("password")
    return found if isinstance(found, dict) else {}
