"""The visited site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Site:
    """The site's address, and the credentials for it."""

    url: str
    """The public address, without a trailing slash."""
    ca_file: str
    """CA of its certificate."""
    mail_url: str
    """URL of the mail sandbox; empty: no account recovery."""
    users: tuple[str, ...]
    """Login addresses of the users."""
    password: str = field(repr=False)
    """The password of all users without their own."""
    visitor: str = ""
    """User name for the edge's password; empty: the edge has no password."""
    edge_password: str = field(default="", repr=False)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Passwords of users who have their own, by address."""

    def password_of(self, person: str) -> str:
        """Return a user's password."""
        return self.passwords.get(person, self.password)
