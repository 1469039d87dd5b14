# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""How many users a run may remove: a typo looks like a wish to remove everybody."""

from __future__ import annotations

from dataclasses import dataclass

from .compare import Found


class RemovalError(Exception):
    """A run would remove more users than it may; nothing was changed."""


@dataclass(frozen=True)
class Removals:
    """How many users `exact` may remove: so many, or so many percent of the set, or as many as are `allowed`."""

    users: int = 10
    percent: float = 10
    allowed: int = 0

    def refusal(self, found: Found, user_set: str) -> str:
        """Return why the users that are not in the recipe are not removed, or an empty string."""
        users = found.extra - found.leftovers
        there = found.current + found.outdated + users
        if users <= max(self.users, self.allowed) or users * 100 <= self.percent * there:
            return ""
        return (
            f"refused: {users} of {there} users of the set {user_set} are not in the recipe and would be removed. "
            f"Check its count, seed and personas. If you want to remove them, allow it with removals={users} "
            f"(for a playbook: -e seed_removals={users})"
        )
