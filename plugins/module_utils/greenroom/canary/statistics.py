# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Statistical tests: is the candidate worse, or is the difference random? They are valid for any number of requests.

All tests use counts and assume no distribution of the values: latencies don't have a known one, and errors are too rare
for the usual approximations. Each test returns the probability that two equal releases show the observed difference, or
a larger one. Standard library only, because this runs on hosts, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

GROWTH = 1.05
"""The growth of a histogram's buckets: each is 5 % wider than the one before, so quantiles are accurate to 5 %."""

EXACT = 250
"""Up to this number of hits, `by_chance` is exact for several strata; above, it uses a bound."""

Histogram = Mapping[str, int]
"""Latencies: {bucket: count}. Keys are strings, as in JSON. Histograms of several hosts can be added."""


def bucket(milliseconds: float) -> str:
    """Return the bucket of a latency; bucket n holds latencies up to `bound(n)`."""
    return str(0 if milliseconds <= 1 else math.ceil(math.log(milliseconds) / math.log(GROWTH) - 1e-9))


@lru_cache(1024)
def bound(number: int) -> float:
    """Return the largest latency of a bucket, in milliseconds."""
    return float(GROWTH**number)


def total(histogram: Histogram) -> int:
    """Return the number of latencies."""
    return sum(histogram.values())


def added(histograms: Sequence[Histogram]) -> dict[str, int]:
    """Return the sum of several histograms."""
    result: dict[str, int] = {}
    for histogram in histograms:
        for key, number in histogram.items():
            if key in result:
                result[key] += number
            else:
                result[key] = number
    return result


def quantile(histogram: Histogram, share: float) -> float | None:
    """Return the latency that `share` (0 to 1) of all requests don't exceed, in milliseconds; None without data."""
    wanted, seen = max(1, math.ceil(share * total(histogram))), 0
    for number in sorted(map(int, histogram)):
        seen += histogram[str(number)]
        if seen >= wanted:
            return bound(number)
    return None


def above(histogram: Histogram, milliseconds: float) -> int:
    """Return how many latencies are certainly above `milliseconds`: the bucket that contains it doesn't count."""
    if math.isinf(milliseconds):
        return 0
    first = _first_above(milliseconds)
    return sum([count for number, count in histogram.items() if int(number) >= first])


@lru_cache(1024)
def _first_above(milliseconds: float) -> int:
    """Return the first bucket whose latencies are all above `milliseconds`."""
    number = 0
    while bound(number - 1) < milliseconds:
        number += 1
    return number


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def hypergeometric_above(hits: int, draws: int, marked: int, size: int) -> float:
    """Return the probability of `hits` or more marked items in `draws` from `size` items with `marked` marked ones."""
    lowest, highest = max(0, draws + marked - size), min(draws, marked)
    if hits <= lowest:
        return 1.0
    if hits > highest:
        return 0.0
    if hits * size <= draws * marked:
        # Up to the mean, the first term may be too small for a float, so sum the other tail: too few unmarked items.
        return 1.0 - hypergeometric_above(draws - hits + 1, draws, size - marked, size)
    term = math.exp(_log_choose(marked, hits) + _log_choose(size - marked, draws - hits) - _log_choose(size, draws))
    result = term
    for k in range(hits, highest):
        term *= (marked - k) * (draws - k) / ((k + 1) * (size - marked - draws + k + 1))
        result += term
        if term < result * 1e-12:
            break
    return min(1.0, result)


def more_often(candidate: int, candidate_of: int, live: int, live_of: int) -> float:
    """Return the probability that so many of all failures hit the candidate by chance (Fisher's test, one-sided)."""
    return hypergeometric_above(candidate, candidate_of, candidate + live, candidate_of + live_of)


@dataclass(frozen=True)
class Stratum:
    """One interval of a comparison: `hits` of `size` on one side, `others` of `others_size` on the other."""

    hits: int
    size: int
    others: int
    others_size: int

    @property
    def marked(self) -> int:
        """The number of hits on both sides."""
        return self.hits + self.others


def by_chance(strata: Sequence[Stratum]) -> float:
    """Return the probability that one side gets its number of hits, or more, by chance, over all strata together.

    Like Fisher's test, but without comparing across strata. If all requests fail in one stratum, and one side had more
    requests there, the releases may still be equal (Simpson's paradox). For one stratum, or up to `EXACT` hits, the
    result is exact: it convolves the strata's distributions. Else it is Chernoff's bound, which is never too small.
    """
    useful = [each for each in strata if each.size and each.others_size and each.marked]
    hits = sum(each.hits for each in useful)
    if not hits:
        return 1.0
    if len(useful) == 1:
        (only,) = useful
        return more_often(hits, only.size, only.others, only.others_size)
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


def least(strata: Sequence[Stratum]) -> float:
    """Return the smallest result that `by_chance` can have with the same numbers of hits: all on one side."""
    useful = [each for each in strata if each.size and each.others_size and each.marked]
    return math.exp(
        sum(
            _log_choose(each.size, most)
            + _log_choose(each.others_size, each.marked - most)
            - _log_choose(each.size + each.others_size, each.marked)
            for each in useful
            for most in (min(each.marked, each.size),)
        )
    )


def _probabilities(stratum: Stratum) -> list[float]:
    """Return the probabilities that 0, 1, 2 … of a stratum's hits are on one side."""
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
    """Return a bound for the tail of a sum of binomial variables, which spread more than hypergeometric (Hoeffding)."""
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


def middle(values: Sequence[float]) -> float | None:
    """Return the (lower) median, None without values."""
    return sorted(values)[(len(values) - 1) // 2] if values else None


def mark(live: Histogram, share: float, factor: float, extra: float) -> float:
    """Return the latency above which a request counts as slow, infinity without a baseline.

    It is the live slot's own quantile, raised by `factor` and at least by `extra` milliseconds, the margin. Counting
    the requests above it on both slots gives a test that is valid for any distribution.
    """
    return raised(quantile(live, share), factor, extra)


def raised(reference: float | None, factor: float, extra: float) -> float:
    """Return a latency, raised by the margin; infinity without one."""
    return math.inf if reference is None else max(reference * factor, reference + extra)


def trend(values: Sequence[float]) -> float:
    """Return the probability of a rise by chance (Mann-Kendall test, one-sided, exact for up to ten values)."""
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
