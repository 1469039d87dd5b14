# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The state of an edge host: the live slot and the operation in progress, in one file.

The position (live slot, candidate, weight) has an epoch, a number that only grows. The previous slot, if there is one,
is what a rollback returns to. The state also holds the operation: its phase, the position before it, the prepared step,
and a deadline. The watchdog needs them to end an operation whose run is gone. Plain data; `steps` says which states may
follow each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .clock import Clock

SLOTS = ("blue", "green")
NONE = "-"
"""Stands for no slot in a map's value."""
IDLE = "idle"
PREPARED, CANARY, LIVE, DRAINING = PHASES = ("prepared", "canary", "live", "draining")
ADOPTED = "adopted"
"""The operation of an edge host that adopted a canary from a peer: any operation may continue it."""
DEADLINE_LONGEST = 86400
"""Seconds that an operation of an earlier version may have left after a reboot: it doesn't say how long it may take."""

_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_OPERATION = re.compile(r"[A-Za-z0-9._-]{1,80}\Z")


class SwitchError(Exception):
    """A switch that was refused or isn't in effect everywhere; the text says why and what to do."""


@dataclass(frozen=True)
class Operation:
    """An operation in progress.

    `before` is the map's value when it began, `next` the value that is prepared and not yet in effect (empty: none),
    `deadline` the time (seconds since 1970) after which the watchdog ends it. As the wall clock may be set back, the
    operation also has the `seconds` that it may take, and the uptime at which it `ends` if the host is still up since
    the boot with the ID `boot`. `bake` is what a verdict on the new live slot needs if the run is gone (the option of
    bluegreen_switch), None if no bake follows.
    """

    id: str
    phase: str
    before: str
    next: str = ""
    deadline: int = 0
    seconds: int = 0
    ends: int = 0
    boot: str = ""
    bake: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for an operation that can be neither continued nor ended."""
        check_operation(self.id)
        if self.phase not in PHASES:
            raise ValueError(f"phase {self.phase!r} is not one of {', '.join(PHASES)}")
        for number in (self.deadline, self.seconds, self.ends):
            if type(number) is not int:
                raise ValueError(f"deadline {number!r} is not a number of seconds")
        if self.phase == PREPARED and not self.next:
            raise ValueError("phase prepared without a next step")
        if not isinstance(self.bake, Mapping | None):
            raise ValueError(f"bake {self.bake!r} is not a JSON object")
        for value in (self.before, self.next):
            if value:
                State.from_value("any", value)

    @property
    def live_before(self) -> str:
        """The slot that was live when the operation began."""
        return State.from_value("any", self.before).live if self.before else ""

    def left(self, clock: Clock) -> float:
        """Return the seconds until the deadline, by the clock that can't be set back; negative once it has passed.

        After a reboot, only the wall clock is left. It may be wrong, so the operation gets at most its full time again.
        """
        if self.boot and self.boot == clock.boot:
            return self.ends - clock.uptime
        return min(self.deadline - clock.wall, self.seconds or DEADLINE_LONGEST)

    def timed(self, clock: Clock) -> Operation:
        """Return the operation with its deadline on the clock of this boot."""
        if not clock.boot or self.boot == clock.boot:
            return self
        return replace(self, ends=int(clock.uptime + self.left(clock)), boot=clock.boot)

    def wound(self, clock: Clock, seconds: int) -> Operation:
        """Return the operation with a new deadline, in so many seconds."""
        deadline, ends = int(clock.wall) + seconds, int(clock.uptime) + seconds
        return replace(self, deadline=deadline, seconds=seconds, ends=ends, boot=clock.boot)


@dataclass(frozen=True)
class State:
    """The position of a site: `weight` percent of clients get `candidate` (empty: there is none), the others `live`.

    `epoch` is the number of the switch, from 1; `changed_at` is the time of the last one (UTC, ISO 8601), `changed_by`
    what made it if it wasn't a run. `previous` is the slot that a rollback returns to: empty if there is none, None if
    that isn't known, because the state is from an earlier version.
    """

    site: str
    epoch: int
    live: str
    candidate: str = ""
    weight: int = 0
    changed_at: str = ""
    operation: Operation | None = None
    changed_by: str = ""
    previous: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a state in which HAProxy would answer all requests with an error."""
        check_site(self.site)
        if type(self.epoch) is not int or self.epoch < 1:
            raise ValueError(f"epoch {self.epoch!r} is not a positive number")
        if self.live not in SLOTS:
            raise ValueError(f"live slot {self.live!r} is not one of {', '.join(SLOTS)}")
        if self.candidate not in ("", other(self.live)):
            raise ValueError(f"candidate {self.candidate!r} is not the other slot than {self.live}")
        if self.previous not in (None, "", other(self.live)):
            raise ValueError(f"previous slot {self.previous!r} is not the other slot than {self.live}")
        if type(self.weight) is not int or not 0 <= self.weight <= 100:
            raise ValueError(f"weight {self.weight!r} is not a number from 0 to 100")
        if self.weight and not self.candidate:
            raise ValueError(f"weight {self.weight} without a candidate")
        if self.phase in (CANARY, LIVE, DRAINING) and (self.phase == CANARY) != (self.weight > 0):
            raise ValueError(f"phase {self.phase} can't have weight {self.weight}")

    @classmethod
    def at(cls, site: str, epoch: int, live: str, weight: int = 0) -> State:
        """Return the state in which the other slot than `live` gets `weight` percent; raises ValueError."""
        return cls(site, epoch, live, other(live) if weight and live in SLOTS else "", weight)

    def moved(self, epoch: int, live: str, weight: int = 0) -> State:
        """Return the position after a switch, without an operation. The slot that was live becomes the previous one."""
        previous = self.previous if live == self.live else self.live
        return replace(State.at(self.site, epoch, live, weight), previous=previous)

    @property
    def value(self) -> str:
        """The site's value in HAProxy's map: epoch:live:candidate:weight:previous, and `:adopted` for such a canary.

        Without a known previous slot, the value ends before it, as in earlier versions.
        """
        fields = [str(self.epoch), self.live, self.candidate or NONE, str(self.weight)]
        adopted = self.operation is not None and self.operation.id == ADOPTED
        if self.previous is not None or adopted:
            fields.append("" if self.previous is None else self.previous or NONE)
        return ":".join([*fields, ADOPTED] if adopted else fields)

    @property
    def position(self) -> tuple[str, str, int]:
        """The live slot, the candidate and its weight, without the epoch."""
        return self.live, self.candidate, self.weight

    @property
    def precedence(self) -> tuple[int, int, str]:
        """The key by which two states compare: the larger is current.

        The higher epoch wins, then the lower weight. The slot's name only makes all edge hosts choose the same state.
        """
        return self.epoch, -self.weight, self.live

    @property
    def since(self) -> str:
        """The time of the last switch, and what made it if it wasn't a run."""
        return (self.changed_at or "an unknown time") + (f" (by {self.changed_by})" if self.changed_by else "")

    @property
    def phase(self) -> str:
        """The phase of the operation in progress, or `idle`."""
        return self.operation.phase if self.operation else IDLE

    @property
    def following(self) -> State | None:
        """The prepared state, or None."""
        if not self.operation or not self.operation.next:
            return None
        return State.from_value(self.site, self.operation.next)

    @property
    def highest(self) -> int:
        """The highest epoch in this state, in effect or prepared; a new epoch must be above it."""
        return max(self.epoch, self.following.epoch if self.following else 0)

    def with_operation(self, **changes: Any) -> State:
        """Return the state with these changes to its operation; raises ValueError without an operation."""
        if self.operation is None:
            raise ValueError("no operation is in progress")
        return replace(self, operation=replace(self.operation, **changes))

    def only_wound_since(self, then: State | None) -> bool:
        """Whether only the deadline differs."""
        if then is None or then == self or not (then.operation and self.operation):
            return False
        times = {name: getattr(self.operation, name) for name in ("deadline", "seconds", "ends", "boot")}
        return then.with_operation(**times) == self

    @classmethod
    def from_value(cls, site: str, value: str) -> State:
        """Parse a map's value; raises ValueError for a value that this module doesn't write."""
        parts = value.split(":")
        # isdigit alone accepts digits of other scripts, too.
        numbers = all(part.isascii() and part.isdigit() for part in (parts[0], *parts[3:4]))
        if not 4 <= len(parts) <= 6 or not numbers or parts[5:] not in ([], [ADOPTED]):
            raise ValueError(f"'{value}' is not epoch:live:candidate:weight:previous")
        live, candidate, *rest = ("" if part == NONE else part for part in parts[1:])
        previous = None if len(parts) == 4 or not parts[4] else rest[1]
        state = cls(site, int(parts[0]), live, candidate, int(parts[3]), previous=previous)
        return state.adopted() if len(parts) == 6 else state

    def adopted(self) -> State:
        """Return this canary with the operation of an edge host that adopted it, without a deadline."""
        before = replace(State.at(self.site, self.epoch, self.live), previous=self.previous)
        return replace(self, operation=Operation(ADOPTED, CANARY, before.value))

    @classmethod
    def from_json(cls, text: str) -> State:
        """Parse a state file; raises ValueError or TypeError if it is damaged. Unknown keys are ignored.

        Without the key `operation`, no operation is in progress.
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
    """Return the other slot."""
    return SLOTS[1 - SLOTS.index(slot)]


def check_site(name: str) -> None:
    """Raise ValueError for a site name that would break a map line or a command to HAProxy."""
    if not _SITE.match(name):
        raise ValueError(f"'{name}' is not a valid site name: use letters, digits, dots, dashes and underscores")


def check_operation(name: str) -> None:
    """Raise ValueError for an invalid operation name."""
    if not isinstance(name, str) or not _OPERATION.match(name):
        raise ValueError(
            f"'{name}' is not a valid operation name: use up to 80 letters, digits, dots, dashes and underscores"
        )
