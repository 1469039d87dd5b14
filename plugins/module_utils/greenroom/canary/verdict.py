# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The verdict on a candidate: `pass`, `fail` or `no data`, in comparison with the live slot.

A canary is watched in intervals. The observations are a list of them, oldest first:

    {weight, seconds, public: {live, candidate}, probes: {live, candidate}, watched: {live, candidate}, notes, gaps,
    journeys}

`public` and `probes` are figures (`figures`), `watched` are rows of processes (`metrics_page.row`), `notes` are reasons
for missing figures, `gaps` are observations without which there is no pass, `journeys` are failed smoke checks of the
candidate. Public requests and probes are never added up: clients request other paths than probes do, so the sum would
depend on the mixture instead of the release.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from . import events, metrics_page
from .comparison import SOURCES, Interval, disturbed, look, sums
from .figures import empty, summary
from .figures import totals as added
from .limits import Limits
from .unserved import unserved
from .worse import worse

STEADY = 0.005
"""A rise of memory counts if it would be as steady by chance with at most this probability."""
MEMORY_SECONDS = 1800
"""A new process fills its caches for a while; before that time has passed, growth doesn't count."""


def empty_interval(weight: int) -> dict[str, Any]:
    """Return an interval without observations."""
    figures = {source: {"live": empty(), "candidate": empty()} for source in SOURCES}
    return {
        "weight": weight,
        "seconds": 0.0,
        **figures,
        "watched": {"live": [], "candidate": []},
        "notes": [],
        "gaps": [],
        "journeys": [],
    }


def verdict(intervals: Sequence[Interval], limits: Limits, part: float = 1.0) -> dict[str, Any]:
    """Return {verdict, reasons, figures} over all intervals; the last ones with the same weight are the present step.

    `part` is the part of `alpha` that this verdict may use.

    `fail`: something is worse by more than chance and margin explain, or a process has a problem. `no data`: nothing
    is worse, but there are too few observations. `pass`: neither. `reasons` are lines for the operator.
    """
    reasons = findings(intervals, limits, part)
    kind = "fail" if reasons else "pass"
    if not reasons and (reasons := doubts(intervals, limits)):
        kind = "no data"
    return {"verdict": kind, "reasons": reasons, "figures": totals(intervals)}


def findings(intervals: Sequence[Interval], limits: Limits, part: float) -> list[str]:
    """Return what is worse on the candidate, as lines for the operator."""
    return [*dict.fromkeys(_bad_processes(intervals)), *worse(intervals, limits, limits.alpha * part)]


def doubts(intervals: Sequence[Interval], limits: Limits) -> list[str]:
    """Return why there is no verdict although nothing is worse, as lines for the operator."""
    return list(dict.fromkeys(_unknown(intervals, limits)))


def part(left: int, planned: int) -> float:
    """Return the part of `alpha` for one of the `planned` verdicts of a step; `left` are still to come.

    The last verdict has half of it, because it knows most, and the earlier ones share the other half.
    """
    if planned == 1:
        return 1.0
    return 0.5 if left == 0 else 0.5 / (planned - 1)


def line(result: Mapping[str, Any], candidate: str, live: str, weight: int) -> str:
    """Return a verdict as one line: figures of the candidate (and of the live slot), then the reasons."""
    parts = []
    for source in SOURCES:
        own, other = result["figures"][source]["candidate"], result["figures"][source]["live"]
        if own["requests"] or other["requests"]:
            parts.append(
                f"{source} {own['requests']} ({other['requests']}), failed {own['failed']} ({other['failed']}), "
                f"p50 {own['p50']} ({other['p50']}) ms, p99 {own['p99']} ({other['p99']}) ms"
            )
    metric = result["figures"]["metric"]
    if any(metric.values()):
        parts.append(f"metric {metric['candidate']:g} ({metric['live']:g})")
    said = "; ".join(parts) or "no requests"
    why = f": {'; '.join(result['reasons'])}" if result["reasons"] else ""
    return f"{result['verdict']}: {candidate} at {weight} % (baseline {live}): {said}{why}"


def _bad_processes(intervals: Sequence[Interval]) -> Iterator[str]:
    """Yield failed smoke checks and problems of the candidate's processes, and memory that will reach its limit."""
    for each in intervals:
        yield from each["journeys"]
        for process in each["watched"]["candidate"]:
            yield from process["problems"]
    memory = {side: _memory(intervals, side) for side in ("candidate", "live")}
    if sum(each["seconds"] for each in intervals) < MEMORY_SECONDS:
        return
    for (service, host), (samples, limit) in memory["candidate"].items():
        usual = memory["live"].get((service, host), ([], 0))[0]
        spans = metrics_page.leaking(samples, limit, STEADY)
        if spans is not None and metrics_page.growth(samples) > 2 * metrics_page.growth(usual):
            mebibytes = [number / 2**20 for number in (metrics_page.growth(samples), samples[-1], limit)]
            grown, used, most = (f"{number:.0f}" for number in mebibytes)
            yield f"memory of {service} on {host} keeps growing ({grown} MiB recently, {used} of {most} MiB)"


def _memory(intervals: Iterable[Interval], side: str) -> dict[tuple[str, str], tuple[list[float], float]]:
    found: dict[tuple[str, str], tuple[list[float], float]] = {}
    for each in intervals:
        for process in each["watched"][side]:
            if process["memory"] is not None:
                found.setdefault((process["service"], process["host"]), ([], process["limit"]))[0].append(
                    process["memory"]
                )
    return found


def _unknown(intervals: Sequence[Interval], limits: Limits) -> Iterator[str]:
    """Yield the reasons why there is no verdict."""
    step = [*takewhile(lambda each: each["weight"] == intervals[-1]["weight"], reversed(intervals))][::-1]
    looks = {source: look(step, intervals, source) for source in SOURCES}
    own, live = (
        {source: sums(getattr(each, side))[0] for source, each in looks.items()} for side in ("candidate", "live")
    )
    if not any(min(own[source], live[source]) >= limits.minimum for source in SOURCES):
        got = " and ".join(f"{number} of {source}" for source, number in own.items())
        yield f"too few requests to compare in this step ({got}; each slot needs {limits.minimum})"
        for each in step:
            yield from each["notes"]
    for each in step:
        yield from each["gaps"]
    yield from unserved((intervals, step), intervals)
    if step and all(disturbed(each, intervals) for each in step):
        yield "the baseline slot fails more than before, too, so there is no baseline to compare with"
    for side in ("live", "candidate"):
        for process in intervals[-1]["watched"][side] if intervals else ():
            yield from (f"can't read {what}" for what in process["unread"])


def totals(intervals: Sequence[Interval]) -> dict[str, Any]:
    """Return the figures over all intervals, for operators and reports."""
    sides = ("live", "candidate")
    return {
        source: {side: summary(added(each[source][side] for each in intervals)) for side in sides} for source in SOURCES
    } | {
        "metric": {side: sum(events.of_slot(each, side) for each in intervals) for side in sides},
        "intervals": len(intervals),
    }
