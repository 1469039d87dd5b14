# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an operation on synthetic users has done so far."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Progress:
    """What an operation has done and found so far; kept in the ledger between two calls."""

    todo: int = 0
    created: int = 0
    updated: int = 0
    removed: int = 0
    equipped: int = 0
    seconds: float = 0
    drifted: int = 0
    conflicts: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    refused: int = 0
    unclear: list[str] = field(default_factory=list)
    behind: dict[str, str] = field(default_factory=dict)
    news: bool = False
    limited: bool = False

    @property
    def done(self) -> int:
        """How many users need no more work, whether it succeeded or not."""
        return self.created + self.updated + self.removed + self.refused + len(self.conflicts) + len(self.unclear)

    @property
    def rate(self) -> float:
        """Users per second of work."""
        return (self.created + self.updated + self.removed) / self.seconds if self.seconds else 0

    @property
    def told(self) -> dict[str, float]:
        """What a run shows of the progress."""
        return {"done": self.done, "todo": self.todo, "rate": self.rate}
