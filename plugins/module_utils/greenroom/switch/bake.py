# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The verdict on a bake whose run is gone: an edge host compares the new live slot with the previous one by itself.

It knows less than the run: public requests in its own log, and which servers HAProxy takes for healthy. So without
enough of them, the new slot stays live.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import count
from typing import Any

from ..canary import services, traffic, verdict
from ..canary.comparison import PUBLIC
from ..canary.journal import Journal, Reading
from ..canary.limits import Limits
from . import steps
from .apply import Places
from .bluegreen import State, SwitchError, other
from .clock import Clock
from .deadline import Judged
from .report import unhealthy

PARTS = 20
"""The time since the switch is judged in so many intervals: as many as a long step has."""
LINES = 250000
"""How many lines of the log to read at most, before the switch and since."""
BETWEEN = 1000
"""How many lines to read between two signs of life."""
PART = 0.5
"""The part of `alpha` for the verdicts of all edge hosts: the run's own ones may have used the other half."""


def judge(state: State, places: Places, hosts: int, alive: Callable[[], None]) -> Judged:
    """Return the verdict on the live slot of `state`, whose operation has a `bake`. Raises nothing.

    `hosts` is the number of edge hosts that judge it. Calls `alive` while it reads the log, which may take a minute.
    """
    said = f"no run ended the bake of {state.live}; verdict: "
    try:
        result = _judged(state, places, hosts, alive)
        said += verdict.line(result, state.live, other(state.live), PUBLIC)
        bad = result["verdict"] == "fail"
        why = _no_way_back(state, places) if bad else ""
    # Whatever is wrong with the log or the limits, the watchdog must stay alive and the operation must end.
    except Exception as error:
        return Judged(state, f"{said}none ({error!r}); {state.live} stays live")
    if why or not bad:
        return Judged(state, f"{said}; {state.live} stays live{why and f', because: {why}'}")
    by = f"greenroom-edge on {socket.gethostname()}: no run ended the bake, and {state.live} failed it"
    return Judged(state, f"{said}; {other(state.live)} is live again", by)


def _judged(state: State, places: Places, hosts: int, alive: Callable[[], None]) -> dict[str, Any]:
    """Return the verdict as `services.judged` does. Raises ValueError, JournalError and others."""
    given = state.operation.bake if state.operation else None
    if given is None:
        raise ValueError("the operation has no bake")
    limits = Limits(**given["limits"])
    result = services.judged([*_intervals(state, given, alive)], limits, given["own"], PART / hosts)
    try:
        ill = unhealthy(places, state.live)
    except SwitchError:
        # Says nothing about the release.
        ill = {}
    if ill:
        more = result["reasons"] if result["verdict"] == "fail" else []
        reasons = [f"no server of {', '.join(ill)} is healthy", *more]
        result = {**result, "verdict": "fail", "reasons": reasons}
    return result


def _intervals(state: State, given: Mapping[str, Any], alive: Callable[[], None]) -> Iterator[dict[str, Any]]:
    """Yield the previous slot's intervals before the switch, then those since, all equally long, by this host's clock.

    The time before is limited as for a run's baseline.
    """
    log, now, switched = Journal("journalctl", "haproxy"), time.time(), _seconds(state.changed_at)
    if now <= switched:
        raise ValueError("the clock was set back since the switch")
    length = (now - switched) / PARTS
    served_since = _seconds(given["not_before"]) if given["not_before"] else 0.0
    before = max(0.0, switched - max(switched - given["seconds"], served_since, log.begins()))
    slots = {"live": other(state.live), "candidate": state.live}
    for weight, end, seconds in ((0, switched, before), (PUBLIC, now, now - switched)):
        left = LINES
        for begin, until in traffic.parts_of(end, seconds, length):
            counts, reading = _read(log, (begin, until), left, given, alive)
            left -= reading.lines
            own = {side: slot for side, slot in slots.items() if weight or side == "live"}
            yield {
                **verdict.empty_interval(weight),
                **_public(counts.figures(), own),
                "seconds": until - begin,
                "gaps": [] if reading.complete else ["logged more lines than were read"],
            }


def _read(
    log: Journal, times: tuple[float, float], limit: int, given: Mapping[str, Any], alive: Callable[[], None]
) -> tuple[traffic.Counts, Reading]:
    """Count the lines between two times."""
    counts, number = traffic.Counts(given["routes"], given["backends"]), count()

    def take(line: str) -> None:
        if next(number) % BETWEEN == 0:
            alive()
        counts.take(line)

    alive()
    return counts, log.since(times[0], take, limit, times[1])


def _public(seen: Mapping[str, Any], slots: Mapping[str, str]) -> dict[str, Any]:
    """Return the figures of an interval without probes, from those of `traffic.Counts`; `slots` = {side: slot}."""
    each_one = {services.REST: seen["slots"], **seen["services"]}
    public = {name: {side: figures[slot] for side, slot in slots.items()} for name, figures in each_one.items()}
    return services.together(public, {})


def _no_way_back(state: State, places: Places) -> str:
    """Return why traffic can't move back to the previous slot, "" if it can."""
    try:
        ill = unhealthy(places, steps.go_back(state, "", Clock.now()).live)
    except SwitchError as error:
        return str(error)
    return f"no server of {', '.join(ill)} is healthy" if ill else ""


def _seconds(moment: str) -> float:
    """Return a time in ISO 8601 as seconds since 1970; raises ValueError."""
    return datetime.fromisoformat(moment).timestamp()
