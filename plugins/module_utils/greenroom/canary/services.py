# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The verdict where some services have limits of their own: their requests are judged apart from all others.

An interval then also has `services`, {service: {public: {live, candidate}, probes: {live, candidate}}}, with the
service REST for all that have no limits of their own. `public` and `probes` of the interval are the sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from . import verdict
from .comparison import SOURCES, Interval
from .figures import empty, merged
from .limits import Limits

REST = ""
"""All services without limits of their own."""
SIDES = ("live", "candidate")
Figures = Mapping[str, Any]
Own = Mapping[str, Mapping[str, float]]
"""{service: its limits}, by the names of `Limits`. A limit that it doesn't set is that of all others."""


def together(public: Mapping[str, Any], probes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of an interval, {public, probes, services}, from those of each service and of REST.

    Each is {service: {live, candidate}}. Without services that have limits of their own, there is no `services`.
    """
    sources = {"public": public, "probes": probes}
    names = {name for figures in sources.values() for name in figures}
    apart = {
        name: {
            source: {side: figures.get(name, {}).get(side) or empty() for side in SIDES}
            for source, figures in sources.items()
        }
        for name in names
    }
    sums = {
        source: {side: merged(each[source][side] for each in apart.values()) for side in SIDES} for source in sources
    }
    return sums | ({"services": apart} if names != {REST} else {})


def judged(intervals: Sequence[Interval], limits: Limits, own: Own, part: float = 1.0) -> dict[str, Any]:
    """Return the verdict like `verdict.verdict`, each service by its limits.

    Whether there was enough data depends on all requests together, and on those of a service that sets `minimum`.
    """
    if not own:
        return verdict.verdict(intervals, limits, part)
    # They share the probability of a false alarm.
    share = part / (1 + len(own))
    each_one = {REST: limits} | {name: Limits(**{**asdict(limits), **given}) for name, given in own.items()}
    views = {name: [_view(each, name, own) for each in intervals] for name in each_one}
    reasons = [
        f"{name}: {reason}" if name else reason
        for name, its in each_one.items()
        for reason in verdict.findings(views[name], its, share)
    ]
    kind = "fail" if reasons else "pass"
    if not reasons:
        reasons = verdict.doubts(intervals, limits)
        for name in (name for name, given in own.items() if "minimum" in given):
            reasons += [f"{name}: {doubt}" for doubt in verdict.doubts(views[name], each_one[name])]
        kind = "no data" if reasons else "pass"
    return {"verdict": kind, "reasons": reasons, "figures": verdict.totals(intervals)}


def _view(interval: Interval, name: str, own: Own) -> dict[str, Any]:
    """Return what an interval shows of one service, or of REST."""
    nothing = {source: {side: empty() for side in SIDES} for source in SOURCES}
    figures = interval.get("services", {}).get(name, nothing)
    watched = {
        side: [row for row in rows if (row["service"] if row["service"] in own else REST) == name]
        for side, rows in interval["watched"].items()
    }
    # What concerns the slot as a whole counts once.
    whole: dict[str, Any] = {} if name == REST else {"journeys": [], "notes": [], "gaps": []}
    return {**interval, **figures, "watched": watched, **whole}
