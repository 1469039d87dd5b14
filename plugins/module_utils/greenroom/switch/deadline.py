# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an edge host does with an operation past its deadline: a canary ends, a bake gets a verdict."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from . import steps
from .bluegreen import CANARY, LIVE, State, SwitchError
from .clock import Clock

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
