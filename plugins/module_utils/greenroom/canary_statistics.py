# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Is the candidate worse, or was it chance? Exact tests that hold for ten requests as well as for a million.

All of them count, none assumes a distribution of the values: latencies have none that one could name, and errors are
too rare for the usual approximations. Each answers with the probability of seeing what was seen, or worse, from two
releases that are alike. Standard library only: this runs on hosts, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

GROWTH = 1.05
"""How much wider each bucket of a histogram is than the one before: a quantile is known to 5 %."""

Histogram = Mapping[str, int]
"""Latencies: {bucket: how many}. Keys are texts, as JSON has them; histograms of several hosts add up."""


def bucket(milliseconds: float) -> str:
    """Return the bucket of a latency; bucket n holds what is at most `bound(n)`."""
    return str(0 if milliseconds <= 1 else math.ceil(math.log(milliseconds) / math.log(GROWTH) - 1e-9))


def bound(number: int) -> float:
    """Return the largest latency of a bucket, in milliseconds."""
    return float(GROWTH**number)


def total(histogram: Histogram) -> int:
    """Return how many latencies there are."""
    return sum(histogram.values())


def added(histograms: Sequence[Histogram]) -> dict[str, int]:
    """Return several histograms as one."""
    result: dict[str, int] = {}
    for histogram in histograms:
        for key, number in histogram.items():
            result[key] = result.get(key, 0) + number
    return result


def quantile(histogram: Histogram, share: float) -> float | None:
    """Return the latency that `share` (0 to 1) of all don't exceed, in milliseconds; None when there are none."""
    wanted, seen = max(1, math.ceil(share * total(histogram))), 0
    for number in sorted(map(int, histogram)):
        seen += histogram[str(number)]
        if seen >= wanted:
            return bound(number)
    return None


def above(histogram: Histogram, milliseconds: float) -> int:
    """Return how many surely took longer than that: the bucket that it falls into does not count."""
    return sum(count for number, count in histogram.items() if bound(int(number) - 1) >= milliseconds)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def hypergeometric_above(hits: int, draws: int, marked: int, size: int) -> float:
    """Return the probability of `hits` or more marked ones among `draws` from `size`, of which `marked` are."""
    lowest, highest = max(0, draws + marked - size), min(draws, marked)
    if hits <= lowest:
        return 1.0
    if hits > highest:
        return 0.0
    term = math.exp(_log_choose(marked, hits) + _log_choose(size - marked, draws - hits) - _log_choose(size, draws))
    result = term
    for k in range(hits, highest):
        term *= (marked - k) * (draws - k) / ((k + 1) * (size - marked - draws + k + 1))
        result += term
        if term < result * 1e-12:
            break
    return min(1.0, result)


def more_often(candidate: int, candidate_of: int, live: int, live_of: int) -> float:
    """Fisher's exact test, one-sided: how likely so large a part of all failures meets the candidate by chance."""
    return hypergeometric_above(candidate, candidate_of, candidate + live, candidate_of + live_of)


def more_seldom(candidate: float, live: float, candidate_share: float) -> float:
    """Conditional test of two Poisson rates, one-sided: so few of all events with the candidate's share of requests.

    `candidate` and `live` count events (rounded down), `candidate_share` is between 0 and 1.
    """
    few, n = int(candidate), int(candidate) + int(live)
    if not 0 < candidate_share < 1:
        return 1.0
    logs = [
        _log_choose(n, k) + k * math.log(candidate_share) + (n - k) * math.log1p(-candidate_share)
        for k in range(few + 1)
    ]
    return min(1.0, math.fsum(math.exp(each) for each in logs))


def slower(candidate: Histogram, live: Histogram, share: float, factor: float, extra: float) -> tuple[float, float]:
    """Precedence test for a quantile: how many of the candidate's are slower than live's slowest ones.

    The live slot's r-th slowest request, r being (1 - `share`) of them, is the mark, moved up by `factor` and at least
    by `extra` milliseconds: what nobody minds is no difference. From two releases that are alike, any order of their
    requests is as likely as any other; so k of the candidate's above the mark mean that among the k + r - 1 slowest of
    all no more than r - 1 were live's. Returns that probability and the mark. Holds for any distribution and for few
    requests; one slow request proves nothing, because the other slot might have met it as well.
    """
    candidates, lives = total(candidate), total(live)
    if not candidates or not lives:
        return 1.0, math.inf
    rank = max(1, math.floor((1 - share) * lives + 1e-9))
    reference = quantile(live, 1 - (rank - 1) / lives) or math.inf
    mark = max(reference * factor, reference + extra)
    slow = above(candidate, mark)
    if not slow:
        return 1.0, mark
    slowest = slow + rank - 1
    return hypergeometric_above(slow, slowest, candidates, candidates + lives), mark


def trend(values: Sequence[float]) -> float:
    """Mann and Kendall's test, one-sided, exact for up to ten values and by its normal limit above."""
    n = len(values)
    score = sum((b > a) - (b < a) for i, a in enumerate(values) for b in values[i + 1 :])
    if n < 3:
        return 1.0
    if n <= 10:
        ways = [1]
        for k in range(1, n):
            ways = [sum(ways[max(0, i - k) : i + 1]) for i in range(len(ways) + k)]
        pairs = n * (n - 1) // 2
        discordant = (pairs - score) // 2
        return sum(ways[: discordant + 1]) / math.factorial(n)
    spread = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return 0.5 * math.erfc((score - 1) / spread / math.sqrt(2)) if score > 0 else 1.0
