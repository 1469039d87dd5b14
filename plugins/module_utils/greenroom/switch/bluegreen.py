# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which of two slots serves the public, and the operation that is changing it: one record, in one file.

The position (live slot, candidate, its weight) has an epoch, a number that only grows. An operation stands in the same
record: its phase, the position before it, the step that is prepared, and a deadline, so that whoever finds it without
its operator knows how to end it. Plain data; what may follow what stands in `switch_steps`.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import Any

SLOTS = ("blue", "green")
NO_CANDIDATE = "-"
IDLE = "idle"
PREPARED, CANARY, LIVE, DRAINING = PHASES = ("prepared", "canary", "live", "draining")
ADOPTED = "adopted"
"""The operation of an edge that found a canary at its peers: any other may go on with it."""

_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_OPERATION = re.compile(r"[A-Za-z0-9._-]{1,80}\Z")


class SwitchError(Exception):
    """A switch that was refused or did not take everywhere; the text says why and what to do."""


@dataclass(frozen=True)
class Operation:
    """A change under way.

    `before` is the map's value when it began, `next` the value that is prepared and not yet in force (empty: none),
    `deadline` the time (seconds since 1970) after which the watchdog ends it.
    """

    id: str
    phase: str
    before: str
    next: str = ""
    deadline: int = 0

    def __post_init__(self) -> None:
        """Refuse with ValueError what nobody could go on with."""
        check_operation(self.id)
        if self.phase not in PHASES:
            raise ValueError(f"phase {self.phase!r} is not one of {', '.join(PHASES)}")
        if type(self.deadline) is not int:
            raise ValueError(f"deadline {self.deadline!r} is not a number of seconds")
        if self.phase == PREPARED and not self.next:
            raise ValueError("a prepared operation without its next step")
        for value in (self.before, self.next):
            if value:
                State.from_value("any", value)

    @property
    def live_before(self) -> str:
        """The slot that was live when the operation began."""
        return State.from_value("any", self.before).live if self.before else ""


@dataclass(frozen=True)
class State:
    """Who serves a site: `live` gets all requests but `weight` percent, which go to `candidate` (empty: there is none).

    `epoch` counts the changes, from 1; `changed_at` is the time of the last one (UTC, ISO 8601).
    """

    site: str
    epoch: int
    live: str
    candidate: str = ""
    weight: int = 0
    changed_at: str = ""
    operation: Operation | None = None

    def __post_init__(self) -> None:
        """Refuse with ValueError what would answer everyone with an error."""
        check_site(self.site)
        if type(self.epoch) is not int or self.epoch < 1:
            raise ValueError(f"epoch {self.epoch!r} is not a positive number")
        if self.live not in SLOTS:
            raise ValueError(f"live slot {self.live!r} is not one of {', '.join(SLOTS)}")
        if self.candidate not in ("", other(self.live)):
            raise ValueError(f"candidate {self.candidate!r} is not the slot beside {self.live}")
        if type(self.weight) is not int or not 0 <= self.weight <= 100:
            raise ValueError(f"weight {self.weight!r} is not a number from 0 to 100")
        if self.weight and not self.candidate:
            raise ValueError(f"weight {self.weight} without a candidate")
        if self.phase in (CANARY, LIVE, DRAINING) and (self.phase == CANARY) != (self.weight > 0):
            raise ValueError(f"phase {self.phase} is not one with weight {self.weight}")

    @classmethod
    def at(cls, site: str, epoch: int, live: str, weight: int = 0) -> State:
        """Return the position in which `weight` percent go to the slot beside `live`; raises ValueError."""
        return cls(site, epoch, live, other(live) if weight and live in SLOTS else "", weight)

    @property
    def value(self) -> str:
        """What HAProxy's map says for the site."""
        return f"{self.epoch}:{self.live}:{self.candidate or NO_CANDIDATE}:{self.weight}"

    @property
    def position(self) -> tuple[str, str, int]:
        """Who serves, whatever the epoch."""
        return self.live, self.candidate, self.weight

    @property
    def precedence(self) -> tuple[int, int, str]:
        """The larger one of two states is the truth: the higher epoch; of the same one, what gives a candidate less.

        The slot's name says nothing, but all edges come to the same answer by it.
        """
        return self.epoch, -self.weight, self.live

    @property
    def phase(self) -> str:
        """How far the operation under way has come, or `idle`."""
        return self.operation.phase if self.operation else IDLE

    @property
    def following(self) -> State | None:
        """The position that is prepared."""
        if not self.operation or not self.operation.next:
            return None
        return State.from_value(self.site, self.operation.next)

    @property
    def highest(self) -> int:
        """The highest epoch that this record knows of; a new one has to be above it."""
        return max(self.epoch, self.following.epoch if self.following else 0)

    def with_operation(self, **changes: Any) -> State:
        """Return the state with these changes to its operation; raises ValueError where there is none."""
        if self.operation is None:
            raise ValueError("no operation is under way")
        return replace(self, operation=replace(self.operation, **changes))

    def only_wound_since(self, then: State | None) -> bool:
        """Whether nothing but the deadline is another than it was."""
        if then is None or then == self or not (then.operation and self.operation):
            return False
        return then.with_operation(deadline=self.operation.deadline) == self

    @classmethod
    def from_value(cls, site: str, value: str) -> State:
        """Read what a map says; raises ValueError when it is nothing that this module writes."""
        parts = value.split(":")
        # isdigit alone would take digits of other scripts, which HAProxy's operators could not read.
        if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in (parts[0], parts[3])):
            raise ValueError(f"'{value}' is not epoch:live:candidate:weight")
        candidate = "" if parts[2] == NO_CANDIDATE else parts[2]
        return cls(site, int(parts[0]), parts[1], candidate, int(parts[3]))

    @classmethod
    def from_json(cls, text: str) -> State:
        """Read a state file's content; raises ValueError or TypeError when it is damaged. Unknown keys are left alone.

        A file without `operation` is one of an edge on which none is under way.
        """
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("not a JSON object")
        missing = [name for name in ("site", "epoch", "live") if name not in data]
        if missing:
            raise ValueError(f"without {', '.join(missing)}")
        found = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        if (operation := found.get("operation")) is not None:
            known = {name: value for name, value in operation.items() if name in Operation.__dataclass_fields__}
            found["operation"] = Operation(**known)
        return cls(**found)

    def as_json(self) -> str:
        """Return the state file's content."""
        return json.dumps(asdict(self), indent=2) + "\n"


def other(slot: str) -> str:
    """Return the slot beside `slot`."""
    return SLOTS[1 - SLOTS.index(slot)]


def check_site(name: str) -> None:
    """Refuse with ValueError a name that would be something else in a map line or a command to HAProxy."""
    if not _SITE.match(name):
        raise ValueError(f"'{name}' is no name for a site: letters, digits, dots, dashes")


def check_operation(name: str) -> None:
    """Refuse with ValueError what is no name of an operation."""
    if not isinstance(name, str) or not _OPERATION.match(name):
        raise ValueError(f"'{name}' is no name for an operation: up to 80 letters, digits, dots, dashes")
