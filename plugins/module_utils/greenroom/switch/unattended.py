# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an edge host decides without a run: it ends overdue operations, and takes over what its peers have in effect."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, replace

from . import steps
from .bluegreen import ADOPTED, CANARY, LIVE, State, SwitchError
from .clock import Clock

ADOPTED_SECONDS = 120
"""How long an edge host keeps an adopted canary after the last peer that knows its operation has gone."""
VERDICT_SECONDS = 600
"""How long after the deadline a bake may wait for its verdict. After that, it ends without one."""


@dataclass(frozen=True)
class Judged:
    """The verdict on a bake whose run is gone: the state that was judged, and a line for the journal.

    `by` is what moves traffic back to the previous slot, empty if the new slot stays live.
    """

    state: State
    line: str
    by: str = ""


def unjudged(now: State | None, clock: Clock) -> bool:
    """Whether the run of a bake is gone, and the bake still needs a verdict."""
    if now is None or now.operation is None or now.phase != LIVE or now.operation.bake is None:
        return False
    return -VERDICT_SECONDS <= now.operation.left(clock) < 0


def expire(now: State, clock: Clock, judged: Judged | None = None) -> State:
    """Return the state that the watchdog puts in effect: `now`, or one without the operation past its deadline.

    After a reboot, the operation's deadline moves to the clock of this boot. A bake past its deadline ends with a
    verdict (`judged`), and waits for it.
    """
    if now.operation is None:
        return now
    if now.operation.left(clock) >= 0:
        return replace(now, operation=now.operation.timed(clock))
    if now.phase == CANARY:
        # Above the prepared epoch, too: another edge host may have committed it already.
        return replace(now.moved(now.highest + 1, now.operation.live_before or now.live), changed_at=clock.text)
    if unjudged(now, clock):
        # The run may have returned since, and made another step.
        if judged is None or (judged.state.epoch, judged.state.operation) != (now.epoch, now.operation):
            return now
        if judged.by:
            # Without a previous slot by now, the new one stays.
            with contextlib.suppress(SwitchError):
                return steps.go_back(now, judged.by, clock)
    return replace(now, operation=None)


def adopt(now: State | None, found: State, clock: Clock) -> State:
    """Return the state after a peer reports `found`: the higher epoch is current.

    If a step is prepared here and in effect on the peer, this edge host commits it. A canary that isn't prepared here
    gets a deadline of its own, so that it ends even if the edge host that knows its operation is gone. Otherwise the
    deadline on that edge host counts, which this one doesn't know.
    """
    if now is not None:
        if found.precedence == now.precedence:
            return _kept_up(_agreed(now, found), found, clock)
        if found.precedence < now.precedence:
            return now
        if now.following and now.following.precedence == found.precedence:
            return _agreed(steps.commit(now, None, clock), found)
        if found.epoch == now.epoch:
            # A new epoch, so that an operator who has seen the old one can't continue unaware of the conflict.
            found = replace(found, epoch=now.highest + 1)
    taken = replace(found, changed_at=clock.text, operation=None)
    return _wound(taken.adopted(), clock) if found.weight else taken


def together(states: Collection[State]) -> State | None:
    """Return what peers have in effect: the state that takes precedence, as those that have it agree; None for none.

    It has the operation `adopted` if none of these peers knows the canary's operation.
    """
    best = max(states, key=lambda state: (state.precedence, state.operation is None), default=None)
    for state in states:
        if best is not None and state.precedence == best.precedence:
            best = _agreed(best, state)
    return best


def _agreed(now: State, found: State) -> State:
    """Return `now`, without a previous slot if one of two equal states has none: what is gone for one is gone."""
    if "" in (now.previous, found.previous):
        return replace(now, previous="")
    return now if found.previous is None else replace(now, previous=found.previous)


def _kept_up(now: State, found: State, clock: Clock) -> State:
    """Extend an adopted canary's deadline while a peer knows its operation, and so ends it.

    Once half of the time has passed, because each extension writes to disk. Edge hosts that adopted the canary from
    each other don't extend it.
    """
    if now.operation is None or now.operation.id != ADOPTED or found.operation is not None:
        return now
    return now if now.operation.left(clock) > ADOPTED_SECONDS // 2 else _wound(now, clock)


def _wound(now: State, clock: Clock) -> State:
    if now.operation is None:
        return now
    return replace(now, operation=now.operation.wound(clock, ADOPTED_SECONDS))
