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
from dataclasses import dataclass

GROWTH = 1.05
"""How much wider each bucket of a histogram is than the one before: a quantile is known to 5 %."""

EXACT = 250
"""Up to so many hits the strata's distributions are put together as they are."""

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


@dataclass(frozen=True)
class Stratum:
    """One slice of a comparison: `hits` of `size` on the one side, `others` of `others_size` on the other."""

    hits: int
    size: int
    others: int
    others_size: int

    @property
    def marked(self) -> int:
        """How many hits there are on both sides."""
        return self.hits + self.others


def by_chance(strata: Sequence[Stratum]) -> float:
    """Return the probability that chance gives the one side as many hits, or more, as it has in all strata together.

    As Fisher's test, but nothing is compared across strata: when in one of them everybody fails, and the one side had
    more requests there than before, that says nothing of a release (Simpson's paradox). Exact up to `EXACT` hits: the
    distributions of all strata are put together. For more, Chernoff's bound, which never says less than it is.
    """
    useful = [each for each in strata if each.size and each.others_size and each.marked]
    hits = sum(each.hits for each in useful)
    if not hits:
        return 1.0
    if sum(each.marked for each in useful) > EXACT:
        return _chernoff(hits, useful)
    together = [1.0]
    for each in useful:
        own = _probabilities(each)
        sums = [0.0] * (len(together) + len(own) - 1)
        for i, one in enumerate(together):
            for j, other in enumerate(own):
                sums[i + j] += one * other
        together = sums
    return min(1.0, math.fsum(together[hits:]))


def _probabilities(stratum: Stratum) -> list[float]:
    """Return how likely 0, 1, 2 … of a stratum's hits are on the one side."""
    marked, size = stratum.marked, stratum.size + stratum.others_size
    return [
        0.0
        if k > stratum.size or marked - k > stratum.others_size
        else math.exp(
            _log_choose(stratum.size, k) + _log_choose(stratum.others_size, marked - k) - _log_choose(size, marked)
        )
        for k in range(marked + 1)
    ]


def _chernoff(hits: int, strata: Sequence[Stratum]) -> float:
    """Bound the tail of a sum of binomial variables, which are wider than those without replacement (Hoeffding)."""
    parts = [(each.marked, each.size / (each.size + each.others_size)) for each in strata]
    if hits <= sum(number * share for number, share in parts):
        return 1.0
    if hits >= sum(number for number, _share in parts):
        return math.exp(sum(number * math.log(share) for number, share in parts))
    low, high = 0.0, 50.0
    for _ in range(60):
        tilt = (low + high) / 2
        mean = sum(number * share / (share + (1 - share) * math.exp(-tilt)) for number, share in parts)
        low, high = (tilt, high) if mean < hits else (low, tilt)
    exponent = sum(number * math.log1p(share * math.expm1(low)) for number, share in parts) - low * hits
    return math.exp(min(0.0, exponent))


def mark(live: Histogram, share: float, factor: float, extra: float) -> float:
    """Return the latency above which a request counts as slow, infinity where there is nothing to compare with.

    It is the live slot's own quantile, moved up by `factor` and at least by `extra` milliseconds: what nobody minds is
    no difference. Whether the candidate is beyond it more often than the live slot itself is a question of counts, so
    that it can be answered for any distribution.
    """
    reference = quantile(live, share)
    return math.inf if reference is None else max(reference * factor, reference + extra)


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
