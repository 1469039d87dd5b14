# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an edge host takes over from its peers: the state with the highest epoch, without its operation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from . import steps
from .bluegreen import ADOPTED, State
from .clock import Clock

ADOPTED_SECONDS = 120
"""How long an edge host keeps an adopted canary after the last peer that knows its operation has gone."""


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
