# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Simulated clients of public traffic: each stays on its slot, few of them send most requests, and some are broken."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from plugins.module_utils.greenroom.canary.edge_log import GROUPS

BROKEN = 0.02
"""The part of clients that fail on any release, because of their data or of what they send."""
SLOW = 0.03
"""The part of clients with a slow connection."""
COOKIELESS = 0.1
"""The part of clients that keep no cookies."""
STAY = 0.5
"""The part of clients that stay during the whole rollout."""
VISIT = 120.0
"""Seconds that the others stay on average."""


@dataclass
class Client:
    """A client: its requests per second, its habits, and until when it stays.

    `mix` are the cumulative weights of the routes, `broken` is (probability, status) of its bad responses, `factor`
    that of its latencies. `known` clients have got a cookie.
    """

    number: int
    address: str
    pace: float
    mix: Sequence[float]
    broken: tuple[float, int]
    factor: float
    until: float
    cookies: bool
    known: bool = False


class Crowd:
    """Clients that come and go, and together send `rate` requests a second on average.

    With `broken`, at least one of those that stay is broken and keeps its cookie.
    """

    def __init__(self, rate: float, parts: Sequence[float], chance: random.Random, broken: bool = False) -> None:
        self._chance = chance
        self._parts = parts
        # From three to twenty requests a minute.
        self._pace = min(rate, 10 ** chance.uniform(-1.3, -0.5))
        self._skew = chance.uniform(0.5, 1.2)
        number = max(1, round(rate / self._pace))
        self._there = [self._client(math.inf if chance.random() < STAY else self._visit()) for _ in range(number)]
        if broken:
            first = self._there[0]
            first.broken, first.cookies, first.until = (1.0, 500), True, math.inf
            first.pace *= chance.lognormvariate(0.5, 1)

    def _visit(self) -> float:
        return self._chance.expovariate(1 / VISIT)

    def _client(self, until: float) -> Client:
        chance, broken, factor = self._chance, (0.0, 0), 1.0
        pace = self._pace * chance.lognormvariate(-(self._skew**2) / 2, self._skew)
        if chance.random() < BROKEN:
            # Broken clients try again and again.
            broken = (chance.uniform(0.3, 1), chance.choice((400, 500)))
            pace *= chance.lognormvariate(0.5, 1)
        if chance.random() < SLOW:
            factor = chance.uniform(3, 10)
        mix, total = [], 0.0
        for part in self._parts:
            total += part * chance.lognormvariate(0, 0.7)
            mix.append(total)
        address = f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}"
        number = chance.randrange(GROUPS)
        return Client(number, address, pace, mix, broken, factor, until, chance.random() >= COOKIELESS)

    def requests(self, now: float, seconds: float) -> Iterator[tuple[Client, int]]:
        """Yield the clients that come in an interval, and the number of their requests."""
        for index, client in enumerate(self._there):
            since, each = now, client
            while each.until < now + seconds:
                yield each, self._poisson(each.pace * max(0.0, each.until - since))
                since = max(since, each.until)
                each = self._there[index] = self._client(since + self._visit())
            yield each, self._poisson(each.pace * (now + seconds - since))

    def _poisson(self, mean: float) -> int:
        if mean > 500:
            return max(0, round(self._chance.gauss(mean, math.sqrt(mean))))
        number, product, limit = 0, self._chance.random(), math.exp(-mean)
        while product > limit:
            number, product = number + 1, product * self._chance.random()
        return number
