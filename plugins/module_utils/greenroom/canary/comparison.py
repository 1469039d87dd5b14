# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Candidate and live slot side by side: which requests of both can be compared, and how many clients they hit.

A client stays on its slot, so its requests are no independent observations: a broken client fails in each of them, on
any release. So clients are counted, and each of them counts once. Which slot it is on is random, whatever it does
there. Probes have no clients: each request counts.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any

from . import statistics
from .edge_log import GROUPS
from .figures import Figures, Table, add, add_times, counts_of, visits
from .statistics import Stratum

Interval = Mapping[str, Any]
Step = Sequence[Figures]
"""The figures of a slot in the intervals of a step."""
SOURCES = ("public", "probes")
PUBLIC = 100
"""The weight of a candidate that has gone live."""
DISTURBED = 0.01
"""The live slot counts as disturbed if its failures would occur by chance with at most this probability."""
KNOWN_AGAIN = ("c", "a")
"""Kinds of clients that are the same ones before and after a switch: those that keep their cookie, and addresses."""
AS_LONG = 1.2
"""Two times are equally long if they differ by this factor at most."""
EVERYBODY = frozenset(str(number) for number in range(GROUPS))


@dataclass(frozen=True)
class Compared:
    """How many clients or requests are hit on both slots; `own` and `usual` are the sums of their hit fractions."""

    stratum: Stratum
    own: float
    usual: float

    @property
    def excess(self) -> float:
        """How many more requests fail on the candidate than would on the live slot, each client counted as one."""
        return self.own - self.stratum.size * self.usual / self.stratum.others_size


@dataclass(frozen=True)
class Period:
    """Steps of both slots that are compared as one: the clients `own` on the candidate, `others` on the live slot.

    `kinds` are the kinds of clients that are compared, each with its own; "" means all together.
    """

    candidate: Sequence[Step]
    live: Sequence[Step]
    own: Container[str] = EVERYBODY
    others: Container[str] = EVERYBODY
    kinds: Sequence[str] = ("",)

    def failures(self, route: str, index: int) -> list[Compared]:
        """Compare requests that failed (`index` 1) or were refused (2); an empty route means all."""
        candidate, live = _flat(self.candidate), _flat(self.live)
        if not by_client(*candidate, *live):
            own, usual = sums(candidate, route), sums(live, route)
            return _by_request(own[index], own[0], usual[index], usual[0])
        return self._by_client(route, lambda counts: (counts[index], counts[0]))

    def slow(self, mark: float) -> list[Compared]:
        """Compare requests slower than `mark` milliseconds."""
        (own, size), (usual, usual_size) = self._latencies
        return _by_request(statistics.above(own, mark), size, statistics.above(usual, mark), usual_size)

    @cached_property
    def _latencies(self) -> list[tuple[dict[str, int], int]]:
        """The latencies of the candidate and of the live slot, and their numbers."""
        both = [latencies(_flat(side)) for side in (self.candidate, self.live)]
        return [(each, statistics.total(each)) for each in both]

    def slow_clients(self, mark: float, measure: Callable[[Sequence[int]], float]) -> list[Compared]:
        """Compare clients for which a measure of their latencies is above `mark` milliseconds."""
        return self._by_client(None, lambda times: (int(measure(times) > mark), 1))

    def usual(self, measure: Callable[[Sequence[int]], float]) -> list[float]:
        """Return a measure of the latencies of each of the live slot's clients, in milliseconds."""
        gathered = (_gathered(self.live, self.others, kind, None) for kind in self.kinds)
        return [measure(times) for each in gathered for times in each]

    def _by_client(self, route: str | None, unit: Callable[[list[int]], tuple[int, int]]) -> list[Compared]:
        result = []
        for kind in self.kinds:
            own, usual = (
                [unit(numbers) for numbers in _gathered(side, among, kind, route)]
                for side, among in ((self.candidate, self.own), (self.live, self.others))
            )
            if own and usual:
                result.append(_of_clients(own, usual))
        return result


def _flat(steps: Iterable[Step]) -> list[Figures]:
    return [figures for step in steps for figures in step]


def _gathered(steps: Iterable[Step], among: Container[str], kind: str, route: str | None) -> Iterable[list[int]]:
    """Return the numbers of each client in all steps: its counts of a route, or its latencies (None)."""
    tables = [_of_step(tuple(figures["visits"] for figures in step), kind, route) for step in steps]
    if len(tables) == 1:
        return [numbers for number, numbers in tables[0].items() if number in among]
    result: Table = {}
    include = add_times if route is None else add
    for table in tables:
        for number, numbers in table.items():
            if number in among:
                include(result, number, numbers)
    return result.values()


@lru_cache(256)
def _of_step(texts: tuple[str, ...], kind: str, route: str | None) -> Table:
    """Return the numbers of each client in a step. The same ones are needed again and again."""
    result: Table = {}
    include = add_times if route is None else add
    for known in map(visits, texts):
        for client, numbers in (known.times if route is None else known.counts.get(route, {})).items():
            if not kind or client[0] == kind:
                include(result, client[1:], numbers)
    return result


@dataclass(frozen=True)
class Look:
    """What can be compared in a window of intervals: the figures of both slots, and in which periods."""

    source: str
    window: Sequence[Interval]
    candidate: Sequence[Figures]
    live: Sequence[Figures]
    periods: Sequence[Period]
    control: Sequence[Figures] = ()
    """Probes to the live slot at the time of requests that are compared with earlier ones."""

    @cached_property
    def latencies(self) -> tuple[dict[str, int], dict[str, int]]:
        """The latencies of the candidate and of the live slot."""
        return latencies(self.candidate), latencies(self.live)

    @property
    def possible(self) -> bool:
        """Whether both slots have requests."""
        return all(any(each["requests"] for each in side) for side in (self.candidate, self.live))

    @property
    def by_client(self) -> bool:
        """Whether the clients are known that sent the requests."""
        return by_client(*self.candidate, *self.live)


def look(window: Sequence[Interval], everything: Sequence[Interval], source: str) -> Look:
    """Return what can be compared in a window of intervals, so that events that affect both slots don't count.

    Probes are compared in each interval, clients in each step. After all traffic has moved, the baseline is what the
    previous slot served before, except for intervals in which probes to it fail, too.
    """
    alone = [each for each in window if _alone(each, source)]
    together = [each for each in window if not _alone(each, source)]
    candidate: list[Figures] = []
    live: list[Figures] = []
    periods, control = [], []
    if source == "probes" or not alone:
        candidate, live = _sides(together, source)
        if by_client(*candidate, *live):
            periods = list(_steps(together, source))
        else:
            periods = [Period([[own]], [[usual]]) for own, usual in zip(candidate, live, strict=True)]
    if calm := [each for each in alone if not disturbed(each, everything)]:
        calm, before = _since_the_switch(calm, everything, source)
        since, control = _sides(calm, source)[0], _sides(calm, "probes")[1]
        baseline = _sides(before, source)[1]
        # Those that stayed on the live slot all the time.
        others = frozenset(_never(before[-1]["weight"] if before else 0))
        periods.append(Period([since], [baseline], others=others, kinds=KNOWN_AGAIN))
        candidate, live = [*candidate, *since], [*live, *baseline]
    return Look(source, window, candidate, live, periods, control)


def _alone(each: Interval, source: str) -> bool:
    """Whether all traffic has moved, so that the live slot got nothing in an interval (except probes)."""
    return bool(each["weight"] == PUBLIC and not (source == "probes" and each[source]["live"]["requests"]))


def _sides(intervals: Iterable[Interval], source: str) -> tuple[list[Figures], list[Figures]]:
    intervals = list(intervals)
    return [each[source]["candidate"] for each in intervals], [each[source]["live"] for each in intervals]


def _steps(window: Sequence[Interval], source: str) -> Iterator[Period]:
    """Yield periods that have no client in common, so that each client counts once.

    A client that gets the candidate in a step stays there. It is compared from this step on with some of those that
    never got it. In the lines of an edge host that has not got its new configuration yet, clients are addresses. They
    say nothing about slots, so only the last step is compared.
    """
    steps = groupby(window, lambda each: int(each["weight"]))
    weights, candidate, live = zip(*((weight, *_sides(step, source)) for weight, step in steps), strict=True)
    if any(client.startswith("a") for each in candidate[-1] for client in visits(each["visits"]).counts.get("", ())):
        yield Period(candidate[-1:], live[-1:])
    else:
        for number, (own, others) in enumerate(_joining(weights)):
            yield Period(candidate[number:], live[number:], own, others)


@lru_cache(128)
def _never(weight: int) -> tuple[str, ...]:
    """Return the clients that are on the live slot at a weight."""
    return tuple(str(number) for number in range(GROUPS) if number % 100 >= weight)


@lru_cache(64)
def _joining(weights: tuple[int, ...]) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Return the clients that join the candidate in each step, and those to compare them with."""
    never = _never(weights[-1])
    return [
        (
            frozenset(str(number) for number in range(GROUPS) if before <= number % 100 < weight),
            frozenset(never[step :: len(weights)]),
        )
        for step, (before, weight) in enumerate(zip((0, *weights), weights, strict=False))
    ]


def _since_the_switch(
    calm: list[Interval], everything: Sequence[Interval], source: str
) -> tuple[list[Interval], list[Interval]]:
    """Return intervals since the switch, and as long a time before it.

    In a longer time, most clients would be others: those that come rarely. If the time before is shorter, only the
    last intervals since the switch count.
    """
    before = [each for each in everything if each["weight"] != PUBLIC and each[source]["live"]["requests"]]
    if by_client(*(each[source]["live"] for each in before)):
        calm = _last(calm, AS_LONG * _seconds(before))
        before = _last(before, AS_LONG * _seconds(calm))
    return calm, before


def _last(intervals: Sequence[Interval], seconds: float) -> list[Interval]:
    """Return the last intervals that take at most this time together."""
    found: list[Interval] = []
    for each in reversed(intervals):
        if _seconds([*found, each]) > seconds:
            break
        found.insert(0, each)
    return found


def _seconds(intervals: Iterable[Interval]) -> float:
    return float(sum(each["seconds"] for each in intervals))


def disturbed(each: Interval, everything: Sequence[Interval]) -> bool:
    """Whether the live slot fails, too: more probes to it fail than usual."""
    others = [other["probes"]["live"] for other in everything if other is not each]
    failed, requests = (sum(figures[name] for figures in others) for name in ("failed", "requests"))
    now = each["probes"]["live"]
    return requests > 0 and statistics.more_often(now["failed"], now["requests"], failed, requests) <= DISTURBED


def by_client(*several: Figures) -> bool:
    """Whether the clients are known that sent the requests."""
    return any(figures["visits"] for figures in several)


def sums(several: Iterable[Figures], route: str = "") -> list[int]:
    """Return [requests, failed, refused] of a route; an empty route means all."""
    rows = [counts_of(figures, route) for figures in several]
    return [sum(row[index] for row in rows) for index in range(3)]


def latencies(several: Iterable[Figures]) -> dict[str, int]:
    """Return the latencies of several figures."""
    return statistics.added([figures["latency"] for figures in several])


def typical(times: Sequence[int]) -> float:
    """Return the geometric mean of a client's latencies, in milliseconds."""
    return float(statistics.GROWTH ** (times[1] / times[0]))


def slowest(times: Sequence[int]) -> float:
    """Return the largest of a client's latencies, in milliseconds."""
    return statistics.bound(times[2] - 1)


def _by_request(own: int, all_own: int, usual: int, all_usual: int) -> list[Compared]:
    return [Compared(Stratum(own, all_own, usual, all_usual), own, usual)] if all_own and all_usual else []


def _of_clients(own: Sequence[tuple[int, int]], usual: Sequence[tuple[int, int]]) -> Compared:
    """Compare clients, each with (hits, requests).

    A client is hit if a larger fraction of its requests is than that of half of the live slot's clients.
    """
    fractions, usual_ones = ([hits / requests for hits, requests in side] for side in (own, usual))
    middle = statistics.middle(usual_ones) or 0.0
    more, more_usual = (sum(each > middle or each == 1 for each in side) for side in (fractions, usual_ones))
    return Compared(Stratum(more, len(own), more_usual, len(usual)), sum(fractions), sum(usual_ones))
