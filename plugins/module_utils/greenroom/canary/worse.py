# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is worse on the candidate than on the live slot, by more than chance and margin explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import events, statistics
from .comparison import DISTURBED, SOURCES, Compared, Interval, Look, look, slowest, sums, typical
from .edge_log import WHOLE
from .limits import Limits
from .statistics import Stratum

RECENT = 4
"""A candidate may fail late, so the last interval, and this many of the last ones, are also tested separately."""
KINDS = ((1, "failed", "error_margin"), (2, "were refused", "refused_margin"))
"""Kinds of bad responses: their index in figures, what they did, and the margin for them."""
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
OUTLIERS = 2
"""In so many intervals a candidate may be slow: in the first one, because caches are cold, and during a pause."""
SLOW_CLIENTS = {"p99": 0.05, "p99.9": 0.02}
"""For a quantile of requests, the part of the live slot's clients that have a request above it, before the margin."""


@dataclass(frozen=True)
class Finding:
    """A comparison: what it says if the candidate is worse, whether it is so by more than the margin, and its strata.

    `keys` are what it is about, such as slow probes. Of the findings about the same, the first one is reported.
    """

    keys: tuple[str, ...]
    words: str
    beyond: bool
    strata: Sequence[Stratum]


def worse(intervals: Sequence[Interval], limits: Limits, alpha: float) -> list[str]:
    """Return what is worse on the candidate, each finding once.

    With many comparisons, one may fail by chance, so they share `alpha`: half of it is for comparisons of all requests,
    a quarter for single routes, and a quarter for the business metric. Clients may request any number of paths, so half
    of the routes' part is for those of the catalog.
    """
    windows = [intervals[-length:] for length in sorted({len(intervals), min(RECENT, len(intervals)), 1}) if intervals]
    pairs = [[look(window, intervals, source) for source in SOURCES] for window in windows]
    looks = [each for pair in pairs for each in pair if each.possible]
    whole = [each for one in looks for each in _failures(one, [""], limits)]
    whole += [each for pair in pairs for each in _slower(pair, intervals, limits)]
    families = [(whole, alpha / 2)]
    for catalogued in (True, False):
        routes = [
            each
            for one in looks
            for each in _failures(one, [name for name in _routes(one) if name.startswith(WHOLE) == catalogued], limits)
        ]
        families.append((routes, alpha / 8))
    found: dict[str, str] = {}
    for findings, level in families:
        for each in _significant(findings, level):
            if not found.keys() & set(each.keys):
                found |= dict.fromkeys(each.keys, each.words)
    return [*dict.fromkeys(found.values()), *events.fewer(intervals, limits, alpha / 4)]


def _significant(findings: Sequence[Finding], alpha: float) -> Iterator[Finding]:
    """Yield the findings that are worse by more than margin and chance explain.

    All of them share `alpha`, except those that could not be significant even with all hits on the candidate (Tarone).
    """
    least = sorted(statistics.least(each.strata) for each in findings)
    able = next((number for number in range(1, len(least) + 1) if sum(p <= alpha / number for p in least) <= number), 1)
    for each in findings:
        if each.beyond and statistics.by_chance(each.strata) <= alpha / able:
            yield each


def _routes(one: Look) -> list[str]:
    return list(dict.fromkeys(route for figures in one.candidate for route in figures["routes"]))


def _failures(one: Look, routes: Sequence[str], limits: Limits) -> Iterator[Finding]:
    """Yield comparisons of failures and refusals, for each route; an empty route means all."""
    for route in routes:
        own, usual = sums(one.candidate, route), sums(one.live, route)
        for index, what, margin in KINDS:
            if not own[index] + usual[index]:
                continue
            compared = [each for period in one.periods for each in period.failures(route, index)]
            hits, size, others, others_size = _column_sums(compared)
            beyond = size > 0 and sum(each.excess for each in compared) > getattr(limits, margin) * size
            if control := sums(one.control)[0]:
                # Something may have happened to both slots since then. Then the live slot's probes fail, too.
                now = sums(one.control)[index]
                beyond = beyond and statistics.more_often(own[index], own[0], now, control) <= DISTURBED
            who, usual_who = (
                (f", {hits} of {size} clients", f", {others} of {others_size} clients") if one.by_client else ("", "")
            )
            yield Finding(
                # A single route is only reported if all routes together are not.
                (f"{one.source} {what}",),
                f"{own[index]} of {own[0]} {what} ({one.source}{route and ', '}{route}{who}; "
                f"live: {usual[index]} of {usual[0]}{usual_who})",
                beyond,
                [each.stratum for each in compared],
            )


def _column_sums(compared: Sequence[Compared]) -> tuple[int, int, int, int]:
    strata = [each.stratum for each in compared]
    return (
        sum(each.hits for each in strata),
        sum(each.size for each in strata),
        sum(each.others for each in strata),
        sum(each.others_size for each in strata),
    )


@dataclass(frozen=True)
class Slowness:
    """Slow requests or clients of a source: the strata, how many of the candidate's are more than usual, in words."""

    strata: Sequence[Stratum]
    beyond: float
    words: str


def _slower(pair: Sequence[Look], intervals: Sequence[Interval], limits: Limits) -> Iterator[Finding]:
    """Yield comparisons of latencies, in each source and in both together."""
    for name in QUANTILES:
        found = {one.source: _slowness(one, intervals, name, limits) for one in pair if one.possible}
        ways = [{source: each} for source, each in found.items()] if name != "p99.9" else []
        # Slow requests are rare, so neither source alone may have enough of them.
        for way in (*ways, found) if name != "p50" and len(found) > 1 else ways:
            strata = [stratum for each in way.values() for stratum in each.strata]
            words = f"{name} is {' and '.join(each.words for each in way.values())}"
            yield Finding(
                tuple(f"{source} {name[:3]}" for source in way),
                words,
                sum(each.beyond for each in way.values()) > 0,
                strata,
            )


def _slowness(one: Look, intervals: Sequence[Interval], name: str, limits: Limits) -> Slowness:
    """Compare slow requests, or clients with slow requests.

    The mark is the live slot's own quantile plus the margin. For clients, it is that of what their requests usually
    take, or of what the slowest one takes.
    """
    own, usual = one.latencies
    values = [statistics.quantile(side, QUANTILES[name]) or 0 for side in (own, usual)]
    words = f"{values[0]:.0f} ms ({one.source}; live: {values[1]:.0f} ms)"
    if not one.by_client:
        mark = statistics.mark(usual, QUANTILES[name], limits.latency_factor, limits.latency_ms)
        strata = _without_peaks([each.stratum for period in one.periods for each in period.slow(mark)])
        usual_part = 1 - QUANTILES[name]
    else:
        measure, usual_part = (typical, 0.5) if name == "p50" else (slowest, SLOW_CLIENTS[name])
        live = sorted(value for period in one.periods for value in period.usual(measure))
        reference = live[int((1 - usual_part) * (len(live) - 1))] if live else None
        mark = statistics.raised(reference, limits.latency_factor, limits.latency_ms)
        kept = look(_calm(one, intervals, mark), intervals, one.source)
        strata = [each.stratum for period in kept.periods for each in period.slow_clients(mark, measure)]
    hits, size = (sum(getattr(each, field) for each in strata) for field in ("hits", "size"))
    return Slowness(strata, hits - usual_part * size, words)


def _without_peaks(strata: Sequence[Stratum]) -> list[Stratum]:
    """Return the strata without the candidate's peaks: a pause of one host slows many requests down in one interval."""
    most = sorted((each.hits for each in strata), reverse=True)[OUTLIERS:]
    return [Stratum(min(each.hits, max(most, default=0)), each.size, each.others, each.others_size) for each in strata]


def _calm(one: Look, intervals: Sequence[Interval], mark: float) -> list[Interval]:
    """Return the intervals of a window without the first one of all and the one in which the candidate is worst."""
    cold = next((each for each in intervals if each["weight"]), None)
    warm = [each for each in one.window if each is not cold]

    def excess(each: Interval) -> float:
        own, usual = (each[one.source][side]["latency"] for side in ("candidate", "live"))
        rate = statistics.above(usual, mark) / (statistics.total(usual) or 1)
        return statistics.above(own, mark) - statistics.total(own) * rate

    worst = max(warm, key=excess, default=None)
    return [each for each in warm if each is not worst]
