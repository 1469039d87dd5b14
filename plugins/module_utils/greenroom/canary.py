# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The verdict on a candidate: as good as the live slot, worse, or not known.

A rollout is watched in slices of some seconds. What was seen is a list of them, oldest first:

    {weight, public: {live, candidate}, probes: {live, candidate}, watched: {live, candidate}, notes, journeys}

`public` and `probes` are figures (`canary_figures`), `watched` what processes said of themselves (`canary_watch`),
`notes` what kept figures from being had, `journeys` smoke checks of the candidate that failed. Public requests and
probes are never thrown together: who comes by himself asks for other things than a probe does, and the sum would follow
the mixture instead of the release.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import canary_statistics as statistics
from . import canary_watch as watch
from .canary_figures import Figures, empty, merged, summary

Slice = Mapping[str, Any]
SOURCES = ("public", "probes")
RECENT = 4
"""A candidate may become bad late: the last slice, and the last few, are looked at apart from all of them."""
PERSISTING = 2
"""In how many slices a latency has to be worse: one pause of one host slows many requests down, and is no release."""
STEADY = 0.005
"""A rise of memory counts when so steady a one comes by chance no more often than that."""


@dataclass(frozen=True)
class Limits:
    """What is a difference. Shares are between 0 and 1.

    `minimum`: requests of each slot without which nothing passes. `alpha`: how likely a verdict may fail a candidate
    that is like the live slot, over all comparisons that it makes. The others: differences up to there are minded by
    nobody, however sure they are.
    """

    minimum: int = 50
    alpha: float = 0.001
    error_margin: float = 0.01
    refused_margin: float = 0.05
    latency_factor: float = 1.5
    latency_ms: float = 50.0
    metric_drop: float = 0.5

    def __post_init__(self) -> None:
        """Refuse with ValueError what no verdict can be based on."""
        for name in ("alpha", "metric_drop"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"canary_{name} must be between 0 and 1, not {getattr(self, name)}")
        for name in ("error_margin", "refused_margin", "latency_ms"):
            if getattr(self, name) < 0:
                raise ValueError(f"canary_{name} must not be negative")
        if self.minimum < 1 or self.latency_factor < 1:
            raise ValueError("canary_minimum and canary_latency_factor must be 1 or more")


def empty_slice(weight: int) -> dict[str, Any]:
    """Return a slice in which nothing was seen."""
    figures = {source: {"live": empty(), "candidate": empty()} for source in SOURCES}
    return {"weight": weight, **figures, "watched": {"live": [], "candidate": []}, "notes": [], "journeys": []}


def verdict(slices: Sequence[Slice], limits: Limits) -> dict[str, Any]:
    """Return {verdict, reasons, figures} over all slices; the last ones of the same weight are the step at hand.

    `fail`: something is worse, beyond chance and beyond what nobody minds, or a process says what it must not.
    `no data`: nothing is, but too little was seen to know. `pass`: neither. `reasons` are lines for a person.
    """
    reasons = list(dict.fromkeys(_bad_processes(slices)))
    reasons += _worse(slices, limits)
    kind = "fail" if reasons else "pass"
    if not reasons and (reasons := list(dict.fromkeys(_unknown(slices, limits)))):
        kind = "no data"
    return {"verdict": kind, "reasons": reasons, "figures": _figures(slices)}


def line(result: Mapping[str, Any], candidate: str, live: str, weight: int) -> str:
    """Return a verdict as one line: figures of the candidate (of the live slot), then why."""
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
    said = "; ".join(parts) or "nothing was seen"
    why = f": {'; '.join(result['reasons'])}" if result["reasons"] else ""
    return f"{result['verdict']}: {candidate} at {weight} % (beside {live}): {said}{why}"


def _sides(slices: Sequence[Slice], everything: Sequence[Slice], source: str) -> tuple[Figures, Figures]:
    """Return the candidate's and the live slot's figures; where the live one serves nobody, its earlier ones."""
    candidate, live = (merged(each[source][side] for each in slices) for side in ("candidate", "live"))
    return candidate, live if live["requests"] else merged(each[source]["live"] for each in everything)


def _windows(slices: Sequence[Slice]) -> list[Sequence[Slice]]:
    return [slices[-length:] for length in sorted({len(slices), min(RECENT, len(slices)), 1}) if slices]


def _worse(slices: Sequence[Slice], limits: Limits) -> list[str]:
    """Return what is worse with the candidate, each thing once."""
    sides = [(window, source, *_sides(window, slices, source)) for window in _windows(slices) for source in SOURCES]
    sides = [each for each in sides if each[2]["requests"] and each[3]["requests"]]
    # Bonferroni: of so many comparisons, one that is right by chance is as unlikely as of a single one.
    comparisons = 1 + sum(4 + 2 * len(candidate["routes"]) for _window, _source, candidate, _live in sides)
    level = limits.alpha / comparisons
    found: dict[str, str] = {}
    for window, source, candidate, live in sides:
        for key, reason in (
            *_counts(source, candidate, live, limits, level),
            *_latencies(window, source, (candidate, live), limits, level),
        ):
            found.setdefault(key, reason)
    return [*found.values(), *_metric(slices, limits, level)]


def _counts(source: str, candidate: Figures, live: Figures, limits: Limits, level: float) -> Iterator[tuple[str, str]]:
    """Yield failures and refusals that the candidate has more of, over all routes and for each."""
    whole = [candidate[name] for name in ("requests", "failed", "refused")]
    other = [live[name] for name in ("requests", "failed", "refused")]
    places = [(source, whole, other)]
    places += [
        (f"{source}, {route}", counts, live["routes"].get(route, [0, 0, 0]))
        for route, counts in candidate["routes"].items()
    ]
    for place, (own_all, *own), (live_all, *lives) in places:
        if not own_all or not live_all:
            continue
        for what, bad, usual, margin in zip(
            ("failed", "were refused"), own, lives, (limits.error_margin, limits.refused_margin), strict=True
        ):
            if (
                bad / own_all - usual / live_all > margin
                and statistics.more_often(bad, own_all, usual, live_all) <= level
            ):
                # A route is worth a line of its own only where the whole does not say it.
                yield f"{source} {what}", f"{bad} of {own_all} {what} ({place}; live: {usual} of {live_all})"


def _latencies(
    window: Sequence[Slice], source: str, sides: tuple[Figures, Figures], limits: Limits, level: float
) -> Iterator[tuple[str, str]]:
    """Yield quantiles of the latency that are worse with the candidate, not only for a moment."""
    candidate, live = sides
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        chance, mark = statistics.slower(
            candidate["latency"], live["latency"], share, limits.latency_factor, limits.latency_ms
        )
        if chance > level:
            continue
        times = sum(
            _slow(each[source]["candidate"], mark) > max(1 - share, _slow(each[source]["live"], mark))
            for each in window
        )
        if times >= PERSISTING:
            own, usual = (statistics.quantile(side["latency"], share) or 0 for side in (candidate, live))
            yield f"{source} {name}", f"{name} is {own:.0f} ms ({source}; live: {usual:.0f} ms)"


def _slow(figures: Figures, mark: float) -> float:
    number = statistics.total(figures["latency"])
    return statistics.above(figures["latency"], mark) / number if number else 0.0


def _metric(slices: Sequence[Slice], limits: Limits, level: float) -> Iterator[str]:
    """Yield the business metric when it is seldom with the candidate, for the requests that it got."""
    seen = [each for each in slices if each["watched"]["live"] and each["watched"]["candidate"]]
    sides = ("live", "candidate")
    requests = {side: sum(each["public"][side]["requests"] for each in seen) for side in sides}
    events = {side: sum(_events(each, side) for each in seen) for side in sides}
    if not requests["candidate"] or not requests["live"]:
        return
    share = requests["candidate"] / sum(requests.values())
    few = events["candidate"] / requests["candidate"] < (1 - limits.metric_drop) * events["live"] / requests["live"]
    if few and statistics.more_seldom(events["candidate"], events["live"], share) <= level:
        expected = events["live"] * requests["candidate"] / requests["live"]
        yield f"the business metric rose by {events['candidate']:g}, where live's pace is {expected:.0f}"


def _events(each: Slice, side: str) -> float:
    return watch.metric(each["watched"][side])


def _bad_processes(slices: Sequence[Slice]) -> Iterator[str]:
    """Yield what the candidate's processes say and must not, and memory that will not suffice."""
    for each in slices:
        yield from each["journeys"]
        for process in each["watched"]["candidate"]:
            yield from process["problems"]
    memory = {side: _memory(slices, side) for side in ("candidate", "live")}
    for (service, host), (samples, limit) in memory["candidate"].items():
        usual = memory["live"].get((service, host), ([], 0))[0]
        spans = watch.leaking(samples, limit, STEADY)
        if spans is not None and watch.growth(samples) > 2 * watch.growth(usual):
            mebibytes = [number / 2**20 for number in (watch.growth(samples), samples[-1], limit)]
            grown, used, most = (f"{number:.0f}" for number in mebibytes)
            yield f"memory of {service} on {host} goes on growing ({grown} MiB lately, {used} of {most} MiB)"


def _memory(slices: Iterable[Slice], side: str) -> dict[tuple[str, str], tuple[list[float], float]]:
    found: dict[tuple[str, str], tuple[list[float], float]] = {}
    for each in slices:
        for process in each["watched"][side]:
            if process["memory"] is not None:
                found.setdefault((process["service"], process["host"]), ([], process["limit"]))[0].append(
                    process["memory"]
                )
    return found


def _unknown(slices: Sequence[Slice], limits: Limits) -> Iterator[str]:
    """Yield what was not seen, and has to be."""
    step = []
    for each in reversed(slices):
        if each["weight"] != slices[-1]["weight"]:
            break
        step.append(each)
    numbers = {}
    for source in SOURCES:
        own = sum(each[source]["candidate"]["requests"] for each in step)
        numbers[source] = min(own, sum(each[source]["live"]["requests"] for each in slices)), own
    if max(enough for enough, _own in numbers.values()) < limits.minimum:
        got = " and ".join(f"{own} of {source}" for source, (_enough, own) in numbers.items())
        yield f"too few requests in this step ({got}; {limits.minimum} are wanted of each slot)"
        for each in step:
            yield from each["notes"]
    for side in ("live", "candidate"):
        for process in slices[-1]["watched"][side] if slices else ():
            yield from (f"not to be had: {what}" for what in process["unread"])


def _figures(slices: Sequence[Slice]) -> dict[str, Any]:
    """Return what was seen in all, for people and reports."""
    sides = ("live", "candidate")
    return {
        source: {side: summary(merged(each[source][side] for each in slices)) for side in sides} for source in SOURCES
    } | {"metric": {side: sum(_events(each, side) for each in slices) for side in sides}, "slices": len(slices)}
