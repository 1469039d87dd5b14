# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The state machine of a switch: returns the next state for a state and a request, or refuses. No disk, no HAProxy.

idle → prepared → canary (growing weights) → live (the bake) → draining → idle, and back from each of them. With several
edge hosts, each step is prepared on all of them and then committed on all of them, under a new highest epoch. So an
epoch has one meaning, and the highest epoch is current. If two operators go on without different edge hosts, an epoch
may get two meanings. The edge hosts resolve that as soon as they reach each other (`takeover`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from .bluegreen import (
    ADOPTED,
    CANARY,
    DRAINING,
    LIVE,
    PREPARED,
    SLOTS,
    Operation,
    State,
    SwitchError,
    check_operation,
    other,
)
from .clock import Clock, utc

ABORT = "playbooks/abort.yml"
AHEAD = 10
"""How far the epoch of `go_back` is above all known ones: above any that is prepared on a host out of reach, too."""


@dataclass(frozen=True)
class Wish:
    """A request. `state` is one of STEPS; `deadline` is in seconds from now; None and "" mean not given.

    `final` is whether the switch leaves nothing to roll back to, because it is a rollback, `by` who makes it, if it
    isn't the run of the operation.
    """

    state: str = "present"
    live: str | None = None
    weight: int = 0
    epoch: int | None = None
    expected_epoch: int | None = None
    operation: str = ""
    deadline: int = 120
    recover: bool = False
    bake: Mapping[str, Any] | None = None
    final: bool = False
    by: str = ""

    def __post_init__(self) -> None:
        """Raise SwitchError for a request that is invalid in every state."""
        if self.live is not None and self.live not in SLOTS:
            raise SwitchError(f"'{self.live}' is not a slot: {' or '.join(SLOTS)}")
        if not 0 <= self.weight <= 100:
            raise SwitchError(f"weight {self.weight} is not a number from 0 to 100")
        if self.deadline < 1:
            raise SwitchError(f"deadline {self.deadline} is not a number of seconds from now")
        if self.state == PREPARED and not self.operation:
            raise SwitchError("state prepared needs `operation`, the name of the operation")
        if self.state == PREPARED and not self.live:
            raise SwitchError("state prepared needs `live`, the slot that goes live")
        if self.weight and not self.operation:
            raise SwitchError("weight needs `operation`, so that the watchdog can end it at its deadline")
        if self.weight and not self.live:
            raise SwitchError("weight needs `live`, the slot that serves the remaining traffic")
        if self.operation:
            try:
                check_operation(self.operation)
            except ValueError as error:
                raise SwitchError(str(error)) from error


def decide(now: State, wish: Wish, clock: Clock) -> State:
    """Return the wanted state, or `now` if nothing changes. Raises SwitchError when the request is refused.

    Repeating a call is safe: it isn't refused because of its own first run.
    """
    return STEPS[wish.state](now, wish, clock)


def first(site: str, wish: Wish, traces: list[str], damage: str, clock: Clock) -> State:
    """Return the first state of an edge host that has none: it is new, or it lost its state. Raises SwitchError.

    `traces` are the values that workers and the map file have for the site. `damage` describes a damaged state file.
    """
    if wish.state != "present" or wish.operation or wish.live is None:
        raise SwitchError("this edge host has no state yet: set `live` to the live slot, without an operation")
    if (traces or damage) and not wish.recover:
        raise SwitchError(
            f"refused: the state of '{site}' was lost ({damage or 'no state file'}; HAProxy and its map say "
            f"{', '.join(sorted(set(traces))) or 'nothing else'}). "
            "Find out which slot is live, then set `live` to it, with recover: true"
        )
    epoch = highest_trace(traces)
    if wish.expected_epoch not in (None, epoch):
        raise SwitchError(f"refused: expected epoch {wish.expected_epoch}, but this edge host has no state at all")
    if wish.epoch is not None and wish.epoch <= epoch:
        _past(wish.epoch, epoch)
    return State(site, wish.epoch or epoch + 1, wish.live, changed_at=clock.text, previous="")


def highest_trace(traces: list[str]) -> int:
    """Return the highest epoch in map values, valid or not; 0 for none."""
    heads = [value.split(":")[0] for value in traces]
    return max((int(head) for head in heads if head.isascii() and head.isdigit()), default=0)


def _prepare(now: State, wish: Wish, clock: Clock) -> State:
    """Record the next step without putting it in effect."""
    _mine(now, wish)
    wanted = _wanted(now, wish)
    if _same(now.following, wanted, wish) or (now.phase != PREPARED and _same(now, wanted, wish)):
        return _wound(now, wish, clock)
    _expect(now, wish)
    wanted = replace(wanted, epoch=_epoch(now, wish))
    operation = now.operation or Operation(wish.operation, PREPARED, now.value, wanted.value)
    if wish.weight and wish.live != operation.live_before:
        # Every abort, with or without the operation's history, then ends with the same live slot.
        raise SwitchError(
            f"refused: during a canary, the slot that was live before ({operation.live_before}) stays live, "
            f"not {wish.live}"
        )
    return _wound(replace(now, operation=replace(operation, next=wanted.value, bake=wish.bake)), wish, clock)


def _present(now: State, wish: Wish, clock: Clock) -> State:
    """Put the operation's prepared step in effect. Without an operation, put the requested position in effect."""
    if not wish.operation:
        return _at_once(now, wish, clock)
    _mine(now, wish)
    if wish.live is not None:
        now = _prepare(now, wish, clock)
        step = now.following
        return commit(now, wish, clock) if step and step.position == _wanted(now, wish).position else now
    if wish.epoch == now.epoch or (wish.epoch is None and now.operation and not now.following):
        # An earlier call committed it, or a peer did and this edge host caught up.
        return _wound(now, wish, clock)
    if now.following is None or wish.epoch not in (None, now.following.epoch):
        raise SwitchError(
            f"refused: operation {wish.operation} has no prepared step here, or one with another epoch "
            "(it was never prepared, or dropped after its deadline); prepare it again"
        )
    _expect(now, wish)
    return commit(now, wish, clock)


def commit(now: State, wish: Wish | None, clock: Clock) -> State:
    """Put the prepared step in effect; without `wish`, the deadline stays."""
    step, operation = now.following, now.operation
    if step is None or operation is None:
        raise ValueError("nothing is prepared")
    phase = CANARY if step.weight else LIVE
    state = now.moved(step.epoch, step.live, step.weight)
    if step.previous == "":
        state = replace(state, previous="")
    state = replace(state, changed_at=clock.text, operation=replace(operation, phase=phase, next=""))
    return _wound(state, wish, clock) if wish else state


def _at_once(now: State, wish: Wish, clock: Clock) -> State:
    wanted = _wanted(now, wish)
    if wish.live is None:
        _expect(now, wish)
        return now
    if now.operation:
        _under_way(now)
    # When a call is repeated, it finds the epoch that it asked for, or one more than it expected.
    own = wish.epoch == now.epoch or wish.expected_epoch in (None, now.epoch, now.epoch - 1)
    if own and _same(now, wanted, wish):
        return now
    _expect(now, wish)
    return replace(wanted, epoch=_epoch(now, wish), changed_at=clock.text)


def _drain(now: State, wish: Wish, clock: Clock) -> State:
    """Start draining the previous slot."""
    if not _bakes(now, wish):
        return now
    return _wound(now.with_operation(phase=DRAINING, next="", bake=None), wish, clock)


def _finish(now: State, wish: Wish, clock: Clock) -> State:
    """End an operation and keep the current position."""
    return replace(now, operation=None) if _bakes(now, wish) else now


def _overdue(now: State, wish: Wish, clock: Clock) -> State:
    """End an operation's time, because its run is dead; the watchdog then does what is due, such as a verdict."""
    return replace(now, operation=now.operation.wound(clock, -1)) if now.operation else now


def _bakes(now: State, wish: Wish) -> bool:
    """Whether an operation can be drained or finished; False if it is over. Raises SwitchError if it can't be."""
    if wish.live not in (None, now.live):
        raise SwitchError(
            f"refused: {now.live} is live since {now.since}, not {wish.live}: the operation is over; check the status"
        )
    if now.operation is None:
        return False
    if wish.operation:
        _mine(now, wish)
    _expect(now, wish)
    if now.phase in (PREPARED, CANARY):
        kind = "canary" if now.phase == CANARY else "preparation"
        raise SwitchError(
            f"refused: operation {now.operation.id} is still a {kind}: commit its next step, or abort it with {ABORT}"
        )
    return True


def _abort(now: State, wish: Wish, clock: Clock) -> State:
    """Return to the slot that was live before the operation, and end the operation."""
    if now.operation is None:
        return _align(now, wish, clock)
    if wish.operation:
        _mine(now, wish)
    _expect(now, wish)
    live = now.operation.live_before or now.live
    if wish.live not in (None, live):
        raise SwitchError(
            f"refused: {live} was live before operation {now.operation.id}, not {wish.live}; check the status"
        )
    # Before the operation, the previous slot was another one than now, or there was none.
    moved = live != now.live
    back = State.from_value(now.site, now.operation.before) if moved else now.moved(now.epoch, live)
    if wish.epoch is None and (now.phase == PREPARED or back.position == now.position):
        return replace(now, operation=None)
    return replace(back, epoch=_epoch(now, wish), changed_at=clock.text, changed_by=wish.by)


def _align(now: State, wish: Wish, clock: Clock) -> State:
    """Take the position that the other edge hosts return to, on an edge host whose operation is over already."""
    wanted = now.moved(now.epoch, wish.live or now.live)
    if wish.live is not None and wish.epoch is not None and wish.epoch > now.epoch:
        return replace(wanted, epoch=wish.epoch, changed_at=clock.text, changed_by=wish.by)
    if wish.live is not None and wanted.position != now.position:
        raise SwitchError(f"refused: no operation is in progress, and {now.live} is live; check the status")
    return now


def _replace_idle(now: State, wish: Wish, clock: Clock) -> State:
    """Record that there is nothing to roll back to, because a deploy is about to replace the idle slot."""
    if now.operation and now.operation.id != wish.operation:
        _under_way(now)
    if wish.live not in (None, now.live):
        raise SwitchError(f"refused: {now.live} is live, not {wish.live}; check the status, then decide again")
    _expect(now, wish)
    return replace(now, previous="")


STEPS: dict[str, Callable[[State, Wish, Clock], State]] = {
    "prepared": _prepare,
    "present": _present,
    "draining": _drain,
    "finished": _finish,
    "overdue": _overdue,
    "aborted": _abort,
    "replacing": _replace_idle,
}


def go_back(now: State, by: str, clock: Clock) -> State:
    """Return the state after traffic moved back without a run, because of `by`; raises SwitchError.

    A canary ends. Otherwise, the previous slot gets all traffic. Afterwards there is no previous slot: a second call,
    here or on another edge host, must not return to the slot that was just left.
    """
    live = now.live if now.weight else now.previous
    if live is None and now.operation and now.operation.live_before != now.live:
        live = now.operation.live_before
    if not live:
        why = "a deploy has replaced the other slot, or public traffic was moved back already"
        if now.previous is None:
            why = "the state is from an earlier version, which didn't record the previous slot"
        raise SwitchError(
            f"refused: there is nothing to go back to. {now.live} is live since {now.since}, "
            f"and no previous slot is known: {why}. "
            f"From the controller, playbooks/cutover.yml -e to={other(now.live)} checks the other slot and moves there"
        )
    back = now.moved(now.highest + AHEAD, live)
    return replace(back, previous="", changed_at=clock.text, changed_by=by)


def _wanted(now: State, wish: Wish) -> State:
    wanted = now.moved(now.epoch, wish.live or now.live, wish.weight)
    # A second rollback must not return to the slot that the first one left.
    return replace(wanted, previous="") if wish.final and wanted.live != now.live else wanted


def _same(there: State | None, wanted: State, wish: Wish) -> bool:
    """Whether a state already has the wanted position, and the requested epoch if there is one."""
    return there is not None and there.position == wanted.position and wish.epoch in (None, there.epoch)


def _wound(state: State, wish: Wish, clock: Clock) -> State:
    """Extend the deadline until the operator's next call; an adopted operation gets the operator's name."""
    if state.operation is None:
        return state
    return replace(state, operation=state.operation.wound(clock, wish.deadline)).with_operation(
        id=wish.operation or state.operation.id
    )


def _mine(now: State, wish: Wish) -> None:
    if now.operation and now.operation.id not in (wish.operation, ADOPTED):
        _under_way(now)


def _expect(now: State, wish: Wish) -> None:
    if wish.expected_epoch not in (None, now.epoch):
        raise SwitchError(
            f"refused: expected epoch {wish.expected_epoch}, but it is {now.epoch}: "
            f"{now.live} is live since {now.since}; check the status, then decide again"
        )


def _epoch(now: State, wish: Wish) -> int:
    """Return the epoch of a new position."""
    if wish.epoch is None:
        return now.highest + 1
    if wish.epoch <= now.highest:
        _past(wish.epoch, now.highest)
    return wish.epoch


def _past(epoch: int, known: int) -> NoReturn:
    raise SwitchError(
        f"refused: epoch {epoch} is not above {known}, which this edge host knows already; "
        "check the status, then decide again"
    )


def _under_way(now: State) -> NoReturn:
    if now.operation is None:
        raise ValueError("no operation is in progress")
    raise SwitchError(
        f"refused: operation {now.operation.id} is in progress ({now.phase}, until {utc(now.operation.deadline)}): "
        f"wait until it ends, or abort it with {ABORT}"
    )
