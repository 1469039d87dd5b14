"""The site that people visit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Site:
    """Where visitors go, and how they get in."""

    url: str
    """The public address, without a slash at its end."""
    ca_file: str
    """Who signs its certificate."""
    mail_url: str
    """The mail sandbox's web address; empty: nobody recovers an account."""
    people: tuple[str, ...]
    """Their addresses."""
    password: str = field(repr=False)
    """The one that all people have."""
    visitor: str = ""
    """User whom the edge asks for before it shows anything; empty: it doesn't."""
    edge_password: str = field(default="", repr=False)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Passwords of people who have their own, by address."""

    def password_of(self, person: str) -> str:
        """Return what a person logs in with."""
        return self.passwords.get(person, self.password)
