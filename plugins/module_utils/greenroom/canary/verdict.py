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
from dataclasses import dataclass
from typing import Any

from . import metrics_page, statistics
from .figures import Figures, empty, merged, summary

Interval = Mapping[str, Any]
Pairs = Sequence[tuple[Figures, Figures]]
QUANTILES = {"p50": 0.5, "p99": 0.99}
SOURCES = ("public", "probes")
RECENT = 4
"""A candidate may fail late, so the last interval, and this many of the last ones, are also tested separately."""
DISTURBED = 0.01
"""The live slot counts as disturbed if its failures would occur by chance with at most this probability."""
STEADY = 0.005
"""A rise of memory counts if it would be as steady by chance with at most this probability."""


MEMORY_SECONDS = 1800
"""A new process fills its caches for a while; before that time has passed, growth doesn't count."""


@dataclass(frozen=True)
class Limits:
    """The limits of a verdict. Proportions are between 0 and 1.

    `minimum`: requests that each slot needs for the verdict `pass`. `alpha`: the probability of a false `fail`, over
    all comparisons of a verdict. The others are margins: differences up to a margin don't count, even if certain.
    """

    minimum: int
    alpha: float
    error_margin: float
    refused_margin: float
    latency_factor: float
    latency_ms: float
    metric_drop: float

    def __post_init__(self) -> None:
        """Raise ValueError for limits that allow no verdict."""
        for name in ("alpha", "metric_drop"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"canary_{name} must be between 0 and 1, not {getattr(self, name)}")
        for name in ("error_margin", "refused_margin", "latency_ms"):
            if getattr(self, name) < 0:
                raise ValueError(f"canary_{name} must not be negative")
        if self.minimum < 1 or self.latency_factor < 1:
            raise ValueError("canary_minimum and canary_latency_factor must be 1 or more")


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


def verdict(intervals: Sequence[Interval], limits: Limits) -> dict[str, Any]:
    """Return {verdict, reasons, figures} over all intervals; the last ones with the same weight are the present step.

    `fail`: something is worse by more than chance and margin explain, or a process has a problem. `no data`: nothing
    is worse, but there are too few observations. `pass`: neither. `reasons` are lines for the operator.
    """
    reasons = findings(intervals, limits)
    kind = "fail" if reasons else "pass"
    if not reasons and (reasons := doubts(intervals, limits)):
        kind = "no data"
    return {"verdict": kind, "reasons": reasons, "figures": totals(intervals)}


def findings(intervals: Sequence[Interval], limits: Limits) -> list[str]:
    """Return what is worse on the candidate, as lines for the operator."""
    return [*dict.fromkeys(_bad_processes(intervals)), *_worse(intervals, limits)]


def doubts(intervals: Sequence[Interval], limits: Limits) -> list[str]:
    """Return why there is no verdict although nothing is worse, as lines for the operator."""
    return list(dict.fromkeys(_unknown(intervals, limits)))


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


def _pairs(window: Sequence[Interval], everything: Sequence[Interval], source: str) -> list[tuple[Figures, Figures]]:
    """Return the figures of candidate and live slot for each interval, so that events that affect both don't count.

    After all traffic has moved, the former live slot's earlier figures are the baseline, except for intervals in which
    probes to it fail, too.
    """
    pairs, alone = [], []
    for each in window:
        candidate, live = each[source]["candidate"], each[source]["live"]
        if candidate["requests"] and live["requests"]:
            pairs.append((candidate, live))
        elif candidate["requests"] and not _disturbed(each, everything):
            alone.append(candidate)
    if alone:
        pairs.append((merged(alone), merged(each[source]["live"] for each in everything)))
    return [(candidate, live) for candidate, live in pairs if live["requests"]]


def _disturbed(each: Interval, everything: Sequence[Interval]) -> bool:
    """Whether the live slot fails, too: more probes to it fail than usual."""
    others = [other["probes"]["live"] for other in everything if other is not each]
    failed, requests = (sum(figures[name] for figures in others) for name in ("failed", "requests"))
    now = each["probes"]["live"]
    return requests > 0 and statistics.more_often(now["failed"], now["requests"], failed, requests) <= DISTURBED


def _windows(intervals: Sequence[Interval]) -> list[Sequence[Interval]]:
    return [intervals[-length:] for length in sorted({len(intervals), min(RECENT, len(intervals)), 1}) if intervals]


def _worse(intervals: Sequence[Interval], limits: Limits) -> list[str]:
    """Return what is worse on the candidate, each finding once.

    With many comparisons, one may fail by chance, so they share `alpha` (Bonferroni): half of it for comparisons of all
    requests, a quarter for single routes, of which there are many, and a quarter for the business metric.
    """
    looks = [(last, source, _pairs(last, intervals, source)) for last in _windows(intervals) for source in SOURCES]
    looks = [each for each in looks if each[2]]
    # Caches are cold in the first interval.
    cold = next((each for each in intervals if each["weight"]), None)
    whole = limits.alpha / 2 / max(1, 4 * len(looks))
    single = limits.alpha / 4 / max(1, sum(2 * len(_routes(pairs)) for _window, _source, pairs in looks))
    found: dict[str, str] = {}
    for window, source, pairs in looks:
        warm = _pairs([each for each in window if each is not cold], intervals, source)
        for key, reason in (
            *_counts(source, [""], pairs, limits, whole),
            *_counts(source, _routes(pairs), pairs, limits, single),
            *_latencies(source, warm, limits, whole),
        ):
            found.setdefault(key, reason)
    return [*found.values(), *_metric(intervals, limits, limits.alpha / 4)]


def _routes(pairs: Pairs) -> list[str]:
    return list(dict.fromkeys(route for candidate, _live in pairs for route in candidate["routes"]))


def _counts(
    source: str, places: Iterable[str], pairs: Pairs, limits: Limits, level: float
) -> Iterator[tuple[str, str]]:
    """Yield failures and refusals that are more frequent on the candidate, for each route in `places` ("" is all)."""
    for place in places:
        counts = [[_of(side, place) for side in pair] for pair in pairs]
        for index, what, margin in ((1, "failed", limits.error_margin), (2, "were refused", limits.refused_margin)):
            strata = [statistics.Stratum(own[index], own[0], live[index], live[0]) for own, live in counts]
            if _more(strata, margin, level):
                own, live = _sums(strata)
                # A single route is only reported if all routes together are not.
                yield (
                    f"{source} {what}",
                    f"{own[0]} of {own[1]} {what} ({source}{place and ', '}{place}; live: {live[0]} of {live[1]})",
                )


def _of(figures: Figures, route: str) -> list[int]:
    """Return [requests, failed, refused] of a route; an empty route means all."""
    whole = [figures[name] for name in ("requests", "failed", "refused")]
    return list(figures["routes"].get(route, [0, 0, 0])) if route else whole


def _sums(strata: Iterable[statistics.Stratum]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (hits, requests) of the candidate and of the live slot."""
    compared = [each for each in strata if each.size and each.others_size]
    return (
        _column_sums([(each.hits, each.size) for each in compared]),
        _column_sums([(each.others, each.others_size) for each in compared]),
    )


def _excess(stratum: statistics.Stratum) -> float:
    """Return how many more hits the candidate has than the live slot would have with the same number of requests."""
    return stratum.hits - stratum.size * stratum.others / stratum.others_size


def _more(strata: Iterable[statistics.Stratum], margin: float, level: float) -> bool:
    """Whether the candidate has more hits than margin and chance explain."""
    compared = [each for each in strata if each.size and each.others_size]
    size = sum(each.size for each in compared)
    return bool(size) and sum(map(_excess, compared)) / size > margin and statistics.by_chance(compared) <= level


def _latencies(source: str, pairs: Pairs, limits: Limits, level: float) -> Iterator[tuple[str, str]]:
    """Yield quantiles of the latency that are worse on the candidate.

    The worst interval of the candidate is left out, because a pause of one host slows many requests down.
    """
    own, usual = (statistics.added([pair[side]["latency"] for pair in pairs]) for side in (0, 1))
    for name, share in QUANTILES.items():
        mark = statistics.mark(usual, share, limits.latency_factor, limits.latency_ms)
        strata = [each for pair in pairs if (each := _slow(*pair, mark)).size and each.others_size]
        usual_ones = sorted(strata, key=_excess)[:-1]
        (slow, number), _live = _sums(usual_ones)
        # The candidate's quantile is above the mark, and not by chance.
        if slow > (1 - share) * number and _more(usual_ones, 0.0, level):
            values = [statistics.quantile(side, share) or 0 for side in (own, usual)]
            yield f"{source} {name}", f"{name} is {values[0]:.0f} ms ({source}; live: {values[1]:.0f} ms)"


def _slow(candidate: Figures, live: Figures, mark: float) -> statistics.Stratum:
    (own, own_all), (usual, usual_all) = (
        (statistics.above(side["latency"], mark), statistics.total(side["latency"])) for side in (candidate, live)
    )
    return statistics.Stratum(own, own_all, usual, usual_all)


def _metric(intervals: Sequence[Interval], limits: Limits, level: float) -> Iterator[str]:
    """Yield a line if the business metric rises too slowly on the candidate, relative to its requests."""
    read = [each for each in intervals if all(map(metrics_page.complete, each["watched"].values()))]
    counts = {
        side: [(int(_events(each, side)), each["public"][side]["requests"]) for each in read]
        for side in ("candidate", "live")
    }
    pairs = list(zip(counts["candidate"], counts["live"], strict=True))
    alone = [own for own, live in pairs if not live[1]]
    pairs = [(own, live) for own, live in pairs if live[1]]
    if alone:
        pairs.append((_column_sums(alone), _column_sums(counts["live"])))
    # The opposite direction: does the live slot have more events than chance explains?
    strata = [
        statistics.Stratum(min(live[0], live[1]), live[1], min(own[0], own[1]), own[1])
        for own, live in pairs
        if own[1] and live[1]
    ]
    got = sum(each.others for each in strata)
    due = sum(each.others_size * each.hits / each.size for each in strata)
    if got < (1 - limits.metric_drop) * due and statistics.by_chance(strata) <= level:
        yield f"the business metric rose by {got}, but by {due:.0f} at the live slot's rate"


def _column_sums(rows: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(row[0] for row in rows), sum(row[1] for row in rows)


def _events(each: Interval, side: str) -> float:
    return metrics_page.metric(each["watched"][side])


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
    step: list[Interval] = []
    for each in reversed(intervals):
        if each["weight"] != intervals[-1]["weight"]:
            break
        step.append(each)
    compared = {source: _pairs(step, intervals, source) for source in SOURCES}
    own, live = (
        {source: sum(pair[side]["requests"] for pair in pairs) for source, pairs in compared.items()} for side in (0, 1)
    )
    if not any(min(own[source], live[source]) >= limits.minimum for source in SOURCES):
        got = " and ".join(f"{number} of {source}" for source, number in own.items())
        yield f"too few requests to compare in this step ({got}; each slot needs {limits.minimum})"
        for each in step:
            yield from each["notes"]
    for each in step:
        yield from each["gaps"]
    if step and all(_disturbed(each, intervals) for each in step):
        yield "the baseline slot fails more than before, too, so there is no baseline to compare with"
    for side in ("live", "candidate"):
        for process in intervals[-1]["watched"][side] if intervals else ():
            yield from (f"can't read {what}" for what in process["unread"])


def totals(intervals: Sequence[Interval]) -> dict[str, Any]:
    """Return the figures over all intervals, for operators and reports."""
    sides = ("live", "candidate")
    return {
        source: {side: summary(merged(each[source][side] for each in intervals)) for side in sides}
        for source in SOURCES
    } | {
        "metric": {side: sum(_events(each, side) for each in intervals) for side in sides},
        "intervals": len(intervals),
    }
