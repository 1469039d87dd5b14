# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a simulated release does: its routes, its processes, and how the candidate differs from the live slot."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

MIB = 2**20
ORDER = "POST /orders"
LOGIN = "POST /login"


@dataclass(frozen=True)
class Route:
    """A route of public traffic: `part` of all requests, `median` milliseconds, lognormal with `sigma`."""

    part: float
    median: float
    sigma: float
    probed: bool = True


@dataclass(frozen=True)
class Behaviour:
    """The behavior of a release at one moment, relative to its routes.

    `failing` and `refusing` are fractions by route ("" for all others), `slow` is (fraction, factor) of requests that
    take longer, `late` is (n, milliseconds) if every nth request takes so much longer, `orders` a factor on written
    orders, `memory` in bytes, `journey` the chance that smoke checks pass. Responses of the routes in `cut` end early;
    requests to those in `hanging` have none until the edge gives up after `timeout` seconds. `loss` is how the
    edge loses lines of its log (`edge.LOSSES`).
    """

    factor: float = 1.0
    failing: Mapping[str, float] = field(default_factory=dict)
    refusing: Mapping[str, float] = field(default_factory=dict)
    slow: tuple[float, float] = (0.0, 1.0)
    orders: float = 1.0
    memory: float = 90.0 * MIB
    journey: float = 1.0
    late: tuple[int, float] = (0, 0.0)
    cut: Collection[str] = ()
    hanging: Collection[str] = ()
    timeout: float = 60.0
    loss: str = ""
    restarts: bool = False
    release: str = "1.1"


@dataclass(frozen=True)
class Moment:
    """A point in a rollout: `seconds` since the candidate began, its weight (`share`), the interval's number."""

    seconds: float
    share: int
    number: int


class Release:
    """A candidate and its live slot; subclasses add the fault.

    `long`: the fault needs hours to show. `probed`: it shows without public traffic. `scanner`: how many paths a
    scanner requests, on both slots, before others come. `broken`: at least one client is broken. `catalogued` are the
    paths of the catalog's routes, `absent` is the end of those that the candidate lacks. `page`: the candidate has a
    metrics page. `crashing` = {service: seconds} of its units that crash so long after each start.
    """

    kind = "good"
    long = False
    probed = True
    scanner = 0
    broken = False
    catalogued: Sequence[str] = ("/",)
    absent: str | tuple[str, ...] = ()
    page = True

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.crashing: dict[str, float] = {}
        speed = chance.uniform(4, 120)
        sigma = chance.uniform(0.3, 0.9)
        self.routes = {
            "GET /": Route(0.55, speed, sigma),
            "GET /orders": Route(0.25, 1.5 * speed, sigma),
            "GET /static": Route(0.1, 3, 0.4),
            LOGIN: Route(0.06, 4 * speed, sigma, probed=False),
            ORDER: Route(0.04, 2 * speed, sigma, probed=False),
        }
        self.base = chance.choice([0.0, 0.0, 0.0005, 0.002, 0.01])
        self.lost = chance.choice([0.0, 0.01, 0.03])
        self.tail = (chance.choice([0.0, 0.005, 0.02]), chance.uniform(5, 30))

    def live(self, _moment: Moment) -> Behaviour:
        """Return the behavior of the live slot."""
        return Behaviour(failing={"": self.base}, refusing={"": self.lost}, slow=self.tail)

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return self.live(moment)


def part_of(parts: Mapping[str, float], route: str) -> float:
    """Return the part of a route's requests; "" stands for all others."""
    return parts.get(route, parts.get("", 0.0))
