# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What may follow what: from a state and what is asked for to the next state, or a refusal. No disk, no HAProxy.

idle → prepared → canary (growing weights) → live (the bake) → draining → idle, and back from each of them. With several
edges each step is prepared on all of them and then committed on all of them, under one epoch that is above any other,
so that an epoch never means two things and the highest one is always the truth. Where two operators went on without
different edges, an epoch may mean two things after all; edges end that as soon as they hear of each other (`adopt`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NoReturn

from .bluegreen import ADOPTED, CANARY, DRAINING, LIVE, PREPARED, SLOTS, Operation, State, SwitchError, check_operation

ADOPTED_SECONDS = 120
"""How long an edge keeps up a canary that it only knows from its peers after none of them has it any more."""
ADOPTED_LONGEST = 86400
"""How long it does so at most: edges that know it from one another alone would keep it up for ever."""

ABORT = "playbooks/abort.yml"


@dataclass(frozen=True)
class Wish:
    """What is asked for. `state` is one of STEPS; `deadline` is in seconds from now; None and "" mean: not said."""

    state: str = "present"
    live: str | None = None
    weight: int = 0
    epoch: int | None = None
    expected_epoch: int | None = None
    operation: str = ""
    deadline: int = 120
    recover: bool = False

    def __post_init__(self) -> None:
        """Refuse with SwitchError what makes no sense, whatever the state."""
        if self.live is not None and self.live not in SLOTS:
            raise SwitchError(f"'{self.live}' is not a slot: {' or '.join(SLOTS)}")
        if not 0 <= self.weight <= 100:
            raise SwitchError(f"weight {self.weight} is not a number from 0 to 100")
        if self.deadline < 1:
            raise SwitchError(f"deadline {self.deadline} is not a number of seconds from now")
        if self.state == PREPARED and not self.operation:
            raise SwitchError("prepared needs `operation`, the name of what is under way")
        if self.state == PREPARED and not self.live:
            raise SwitchError("prepared needs `live`, the slot that shall serve")
        if self.weight and not self.operation:
            raise SwitchError("weight needs an operation, so that somebody ends it")
        if self.weight and not self.live:
            raise SwitchError("weight needs `live`, the slot beside which the candidate stands")
        if self.operation:
            try:
                check_operation(self.operation)
            except ValueError as error:
                raise SwitchError(str(error)) from error


def decide(now: State, wish: Wish, clock: float) -> State:
    """Return the state that should be, the one there is when nothing is to change; raises SwitchError on a refusal.

    A repeated call is not refused for what it did itself. `clock` is the time in seconds since 1970.
    """
    return STEPS[wish.state](now, wish, clock)


def first(site: str, wish: Wish, traces: list[str], damage: str, clock: float) -> State:
    """Decide where there is no state: on a new edge, or after it was lost. Raises SwitchError.

    `traces` are what else knows the site (workers, map file), `damage` is what is wrong with the state file.
    """
    if wish.state != "present" or wish.operation or wish.live is None:
        raise SwitchError("there is no state yet: say which slot is live, without an operation")
    if (traces or damage) and not wish.recover:
        raise SwitchError(
            f"refused: the state of '{site}' was lost ({damage or 'no state file'}; proxy and map say "
            f"{', '.join(sorted(set(traces))) or 'nothing else'}). "
            "Find out which slot serves, then say so: live, and recover: true"
        )
    epoch = highest_trace(traces)
    if wish.expected_epoch not in (None, epoch):
        raise SwitchError(f"refused: epoch {wish.expected_epoch} was expected, and there is no state at all")
    if wish.epoch is not None and wish.epoch <= epoch:
        _past(wish.epoch, epoch)
    return State(site, wish.epoch or epoch + 1, wish.live, changed_at=_text(clock))


def highest_trace(traces: list[str]) -> int:
    """Return the highest epoch that values of a map name, sound or not; 0 for none."""
    heads = [value.split(":")[0] for value in traces]
    return max((int(head) for head in heads if head.isascii() and head.isdigit()), default=0)


def _prepare(now: State, wish: Wish, clock: float) -> State:
    """Note the next step; nothing of it is in force."""
    _mine(now, wish)
    wanted = _wanted(now, wish)
    if _same(now.following, wanted, wish) or (now.phase != PREPARED and _same(now, wanted, wish)):
        return _wound(now, wish, clock)
    _expect(now, wish)
    wanted = replace(wanted, epoch=_epoch(now, wish))
    operation = now.operation or Operation(wish.operation, PREPARED, now.value, wanted.value)
    if wish.weight and wish.live != operation.live_before:
        # So that whoever undoes it, knowing its history or not, comes to the same end.
        raise SwitchError(
            f"refused: a canary stands beside the slot that was live before ({operation.live_before}), not {wish.live}"
        )
    return _wound(replace(now, operation=replace(operation, next=wanted.value)), wish, clock)


def _present(now: State, wish: Wish, clock: float) -> State:
    """Put a slot in force: what the operation prepared, or at once where there is no operation."""
    if not wish.operation:
        return _at_once(now, wish, clock)
    _mine(now, wish)
    if wish.live is not None:
        now = _prepare(now, wish, clock)
        step = now.following
        return _commit(now, wish, clock) if step and step.position == _wanted(now, wish).position else now
    if wish.epoch == now.epoch or (wish.epoch is None and now.operation and not now.following):
        # Committed already: by a call before this one, or by a peer that this edge caught up with.
        return _wound(now, wish, clock)
    if now.following is None or wish.epoch not in (None, now.following.epoch):
        raise SwitchError(
            f"refused: operation {wish.operation} has prepared nothing here, or another epoch "
            "(it was dropped after its deadline, or never prepared); prepare it again"
        )
    _expect(now, wish)
    return _commit(now, wish, clock)


def _commit(now: State, wish: Wish | None, clock: float) -> State:
    """Put the prepared step in force; without a wish its deadline stays."""
    step, operation = now.following, now.operation
    if step is None or operation is None:
        raise ValueError("nothing is prepared")
    phase = CANARY if step.weight else LIVE
    state = replace(step, changed_at=_text(clock), operation=replace(operation, phase=phase, next=""))
    return _wound(state, wish, clock) if wish else state


def _at_once(now: State, wish: Wish, clock: float) -> State:
    wanted = _wanted(now, wish)
    if wish.live is None:
        _expect(now, wish)
        return now
    if now.operation:
        _under_way(now)
    # Its own repetition finds the epoch that it named, or one more than it expected.
    own = wish.epoch == now.epoch or wish.expected_epoch in (None, now.epoch, now.epoch - 1)
    if own and _same(now, wanted, wish):
        return now
    _expect(now, wish)
    return replace(wanted, epoch=_epoch(now, wish), changed_at=_text(clock))


def _drain(now: State, wish: Wish, clock: float) -> State:
    """Let the old slot's connections end."""
    if not _bakes(now, wish):
        return now
    return _wound(now.with_operation(phase=DRAINING, next=""), wish, clock)


def _finish(now: State, wish: Wish, clock: float) -> State:
    """End an operation where it stands."""
    return replace(now, operation=None) if _bakes(now, wish) else now


def _bakes(now: State, wish: Wish) -> bool:
    """Whether there is an operation that may be drained or finished; False when it is over, else SwitchError."""
    if wish.live not in (None, now.live):
        raise SwitchError(f"refused: {now.live} is live, not {wish.live}: the operation was undone; look at the status")
    if now.operation is None:
        return False
    if wish.operation:
        _mine(now, wish)
    _expect(now, wish)
    if now.phase in (PREPARED, CANARY):
        kind = "canary" if now.phase == CANARY else "preparation"
        raise SwitchError(
            f"refused: operation {now.operation.id} is a {kind}: commit its next step, or end it with {ABORT}"
        )
    return True


def _abort(now: State, wish: Wish, clock: float) -> State:
    """Go back to what was live before the operation, and end it."""
    if now.operation is None:
        return _align(now, wish, clock)
    if wish.operation:
        _mine(now, wish)
    _expect(now, wish)
    live = now.operation.live_before or now.live
    if wish.live not in (None, live):
        raise SwitchError(
            f"refused: {live} was live before operation {now.operation.id}, not {wish.live}; look at the status"
        )
    back = State.at(now.site, now.epoch, live)
    if wish.epoch is None and (now.phase == PREPARED or back.position == now.position):
        return replace(now, operation=None)
    return replace(back, epoch=_epoch(now, wish), changed_at=_text(clock))


def _align(now: State, wish: Wish, clock: float) -> State:
    """Take the position that the other edges go back to, on an edge on which the operation is over already."""
    wanted = State.at(now.site, now.epoch, wish.live or now.live)
    if wish.live is not None and wish.epoch is not None and wish.epoch > now.epoch:
        return replace(wanted, epoch=wish.epoch, changed_at=_text(clock))
    if wish.live is not None and wanted.position != now.position:
        raise SwitchError(f"refused: no operation is under way, and {now.live} is live; look at the status")
    return now


STEPS: dict[str, Callable[[State, Wish, float], State]] = {
    "prepared": _prepare,
    "present": _present,
    "draining": _drain,
    "finished": _finish,
    "aborted": _abort,
}


def expire(now: State, clock: float) -> State:
    """Return what the watchdog makes of a state: itself, or the end of an operation past its deadline."""
    if now.operation is None or clock <= now.operation.deadline:
        return now
    if now.phase == CANARY:
        # Above what is prepared, too: another edge may have committed that already.
        back = State.at(now.site, now.highest + 1, now.operation.live_before or now.live)
        return replace(back, changed_at=_text(clock))
    return replace(now, operation=None)


def adopt(now: State | None, found: State, clock: float) -> State:
    """Return the state after a peer said that it has `found`: the higher epoch is the truth.

    What was prepared here and is in force there is this edge's commit. A canary that was not prepared here ends by
    itself, so that it does not stay when the edge that knows its operation is gone; until then that edge's deadline
    holds, which this one does not know.
    """
    if now is not None:
        if found.precedence == now.precedence:
            return _kept_up(now, clock)
        if found.precedence < now.precedence:
            return now
        if now.following == found:
            return _commit(now, None, clock)
        if found.epoch == now.epoch:
            # Another number, or an operator who has seen this one would go on as if nothing had happened.
            found = replace(found, epoch=now.highest + 1)
    operation = None
    if found.weight:
        back = State.at(found.site, found.epoch, found.live)
        operation = Operation(ADOPTED, CANARY, back.value, deadline=int(clock) + ADOPTED_SECONDS)
    return replace(found, changed_at=_text(clock), operation=operation)


def _kept_up(now: State, clock: float) -> State:
    """Give a canary that is only known from peers more time, once half of it is over: each time is a write to disk."""
    if now.operation is None or now.operation.id != ADOPTED:
        return now
    longest = int(datetime.fromisoformat(now.changed_at).timestamp()) + ADOPTED_LONGEST
    deadline = min(int(clock) + ADOPTED_SECONDS, longest)
    return now if deadline - now.operation.deadline < ADOPTED_SECONDS // 2 else now.with_operation(deadline=deadline)


def _wanted(now: State, wish: Wish) -> State:
    return State.at(now.site, now.epoch, wish.live or now.live, wish.weight)


def _same(there: State | None, wanted: State, wish: Wish) -> bool:
    """Whether a position is the wished one already, at the wished epoch where one was named."""
    return there is not None and there.position == wanted.position and wish.epoch in (None, there.epoch)


def _wound(state: State, wish: Wish, clock: float) -> State:
    """Give the operator, who is there, time for the next call; what was adopted has an operator now."""
    if state.operation is None:
        return state
    return state.with_operation(id=wish.operation or state.operation.id, deadline=int(clock) + wish.deadline)


def _mine(now: State, wish: Wish) -> None:
    if now.operation and now.operation.id not in (wish.operation, ADOPTED):
        _under_way(now)


def _expect(now: State, wish: Wish) -> None:
    if wish.expected_epoch not in (None, now.epoch):
        raise SwitchError(
            f"refused: epoch {wish.expected_epoch} was expected, and it is {now.epoch}: "
            f"{now.live} is live since {now.changed_at or 'an unknown time'}; look at the status, then decide again"
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
        f"refused: epoch {epoch} is not above {known}, which this edge knows already; "
        "look at the status, then decide again"
    )


def _under_way(now: State) -> NoReturn:
    if now.operation is None:
        raise ValueError("no operation is under way")
    raise SwitchError(
        f"refused: operation {now.operation.id} is under way ({now.phase}, until {_text(now.operation.deadline)}): "
        f"wait for its end, or end it with {ABORT}"
    )


def _text(clock: float) -> str:
    return datetime.fromtimestamp(clock, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
