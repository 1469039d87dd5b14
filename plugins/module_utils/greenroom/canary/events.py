# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The business metric: whether the candidate has fewer events, such as orders, than chance and margin explain.

A metrics page counts events. It doesn't say which requests caused them, nor whose: one client may cause many. The
edge's log says how many requests could have caused them, and how many clients sent those.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby

from . import metrics_page, statistics
from .comparison import PUBLIC, Interval
from .edge_log import WHOLE
from .figures import add, counts_of, visits
from .limits import Limits

SIDES = ("candidate", "live")
READING = ("GET", "HEAD", "OPTIONS")
"""Methods of requests that change nothing, so they cause no events."""
ALIKE = 1 / 3
"""How much the requests of one client are alike: 0 if one may cause an event and the next may not, 1 if all do or none.

It is not known. A third is safe: one client that never causes events can't fail a candidate, even with half of its
requests.
"""


def of_slot(each: Interval, side: str) -> float:
    """Return the increase of the business metric on one side of an interval."""
    return metrics_page.metric(each["watched"][side])


def fewer(intervals: Sequence[Interval], limits: Limits, level: float) -> list[str]:
    """Return a line if the business metric rises too slowly on the candidate.

    It is compared with the regular responses to requests that can have caused the events: with those of each path that
    has enough writing requests, or else with all. The candidate must be worse by each of them.
    """
    read = [each for each in intervals if all(map(metrics_page.complete, each["watched"].values()))]
    events = sum(of_slot(each, "live") for each in read)
    paths = dict.fromkeys(path for each in read for path in each["public"]["live"]["routes"])
    causes = [(path, ALIKE) for path in paths if _writes(path) and _sums(read, "live", path)[1] >= events]
    missing = [_missing(read, path, alike, limits, level) for path, alike in causes or [("", 1.0)]]
    found = [each for each in missing if each is not None]
    if len(found) < len(missing):
        return []
    got, due = min(found, key=lambda each: each[1])
    return [f"the business metric rose by {got:.0f}, but by {due:.0f} at the live slot's rate"]


def _writes(path: str) -> bool:
    return not path.startswith(WHOLE) and path.partition(" ")[0] not in READING


def _missing(
    read: Sequence[Interval], path: str, alike: float, limits: Limits, level: float
) -> tuple[float, float] | None:
    """Return (events, how many were due) of the candidate if too many are missing, else None.

    An empty path means all.
    """
    before = [each for each in read if each["weight"] != PUBLIC]
    steps = [(step, step) for step in (list(step) for _weight, step in groupby(before, lambda each: each["weight"]))]
    # After all traffic has moved, the baseline is what the previous slot did before.
    if since := [each for each in read if each["weight"] == PUBLIC]:
        steps.append((since, before))
    repeats = 1 + alike * (_mean_repeats(read, path) - 1)
    strata, got, due = [], 0.0, 0.0
    for own_ones, usual_ones in steps:
        (own, own_of), (usual, usual_of) = _sums(own_ones, "candidate", path), _sums(usual_ones, "live", path)
        if own_of and usual_of:
            got, due = got + own, due + own_of * usual / usual_of
            # The opposite direction: does the live slot have more events than chance explains?
            strata.append(_stratum(*(number / repeats for number in (usual, usual_of, own, own_of))))
    worse = got < (1 - limits.metric_drop) * due and statistics.by_chance(strata) <= level
    return (got, due) if worse else None


def _sums(intervals: Iterable[Interval], side: str, path: str) -> tuple[float, int]:
    """Return the events of a slot, and the regular responses of a path."""
    pairs = [(of_slot(each, side), _regular(counts_of(each["public"][side], path))) for each in intervals]
    return sum(events for events, _responses in pairs), sum(responses for _events, responses in pairs)


def _regular(counts: Sequence[int]) -> int:
    return counts[0] - counts[1] - counts[2]


def _stratum(hits: float, size: float, others: float, others_size: float) -> statistics.Stratum:
    """Return a stratum of whole numbers, rounded so that the difference does not grow."""
    all_of, all_others = max(1, math.floor(size)), max(1, math.floor(others_size))
    return statistics.Stratum(min(math.floor(hits), all_of), all_of, min(math.ceil(others), all_others), all_others)


def _mean_repeats(intervals: Iterable[Interval], path: str) -> float:
    """Return how many requests to a path a request's client sends, on average over requests; 1 if it isn't known."""
    table: dict[str, list[int]] = {}
    for figures in (each["public"][side] for each in intervals for side in SIDES):
        for client, counts in visits(figures["visits"]).counts.get(path, {}).items():
            add(table, client[1:], (_regular(counts),))
    numbers = [counts[0] for counts in table.values()]
    return sum(number**2 for number in numbers) / sum(numbers) if any(numbers) else 1.0
