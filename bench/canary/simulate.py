# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rollouts of simulated releases with a simulated clock, judged by the code that judges real ones.

The results of canary_traffic, canary_probe and the smoke checks in each interval are simulated. Steps, intervals,
evidence and verdict come from `canary_step` and `canary`, as in roles/canary.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from bench.canary.clients import Client, Crowd
from plugins.module_utils.greenroom.canary import figures as canary_figures
from plugins.module_utils.greenroom.canary import statistics
from plugins.module_utils.greenroom.canary.comparison import PUBLIC
from plugins.module_utils.greenroom.canary.edge_log import GROUPS, EdgeLog
from plugins.module_utils.greenroom.canary.limits import Limits
from plugins.module_utils.greenroom.controller.canary import step as canary_step

ROLE = yaml.safe_load((Path(__file__).resolve().parents[2] / "roles/canary/defaults/main.yml").read_text())
LIMITS = Limits(**{field.name: ROLE[f"canary_{field.name}"] for field in fields(Limits)})
"""The limits that a rollout has unless an operator sets others."""
BUCKETS = 236
MIB = 2**20
SHARES = (5, 25, 50, 100)
"""The last one is the time after the cutover."""
PROBE_RATE = 8.0
INTERVAL = 15.0
SCANNER = "192.0.2.1"
SCANS = 4
"""How often the scanner requests each of its paths in an interval."""
SLOTS = {"live": "blue", "candidate": "green"}
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
    orders, `memory` in bytes, `journey` the chance that smoke checks pass.
    """

    factor: float = 1.0
    failing: Mapping[str, float] = field(default_factory=dict)
    refusing: Mapping[str, float] = field(default_factory=dict)
    slow: tuple[float, float] = (0.0, 1.0)
    orders: float = 1.0
    memory: float = 90.0 * MIB
    journey: float = 1.0
    late: tuple[int, float] = (0, 0.0)
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

    `long`: the fault needs hours to show. `probed`: probes can detect it. `scanner`: how many paths a scanner requests,
    on both slots, before others come.
    """

    kind = "good"
    long = False
    probed = True
    scanner = 0

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
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


@lru_cache(4096)
def _distribution(median: float, sigma: float, slow: tuple[float, float]) -> tuple[float, ...]:
    """Return the fraction of requests in each bucket of the histogram."""

    def below(milliseconds: float) -> float:
        parts = ((1 - slow[0], median), (slow[0], median * slow[1]))
        return sum(
            part * 0.5 * math.erfc(-math.log(milliseconds / middle) / sigma / math.sqrt(2)) for part, middle in parts
        )

    edges = [below(statistics.bound(number)) for number in range(BUCKETS)]
    return tuple(after - before for before, after in zip([0.0, *edges[:-1]], edges, strict=True))


class World:
    """Public traffic, probes and processes of one rollout."""

    def __init__(self, release: Release, rate: float, chance: random.Random) -> None:
        self.release = release
        self.chance = chance
        self.names = list(release.routes)
        self.crowd = Crowd(rate, [route.part for route in release.routes.values()], chance)
        self.now = 0.0
        self.served = {"live": 0, "candidate": 0}
        """How many requests each slot has served, to count every nth."""

    def probes(self, behaviour: Behaviour, wanted: Mapping[str, int], side: str) -> dict[str, Any]:
        """Return the figures of the wanted number of probes of each route."""
        result = canary_figures.empty()
        for name, number in wanted.items():
            route = self.release.routes[name]
            failed = self._draw(number, behaviour.failing.get(name, behaviour.failing.get("", 0.0)))
            refused = self._draw(number - failed, behaviour.refusing.get(name, behaviour.refusing.get("", 0.0)))
            result["routes"][name] = [number, failed, refused]
            for key, count in zip(("requests", "failed", "refused"), (number, failed, refused), strict=True):
                result[key] += count
            late = sum(self._late(behaviour, side) for _ in range(number)) if behaviour.late[0] else 0
            shares = _distribution(round(route.median * behaviour.factor, 1), round(route.sigma, 2), behaviour.slow)
            self._spread(result["latency"], number - late, shares)
            for _ in range(late):
                key = statistics.bucket(self._milliseconds(route, behaviour, 1.0) + behaviour.late[1])
                result["latency"][key] = result["latency"].get(key, 0) + 1
        return result

    def _late(self, behaviour: Behaviour, side: str) -> bool:
        self.served[side] += 1
        return self.served[side] % behaviour.late[0] == 0

    def _milliseconds(self, route: Route, behaviour: Behaviour, factor: float) -> float:
        slow = behaviour.slow[1] if self.chance.random() < behaviour.slow[0] else 1.0
        return route.median * behaviour.factor * factor * slow * self.chance.lognormvariate(0, route.sigma)

    def _draw(self, number: int, share: float) -> int:
        return self.chance.binomialvariate(number, min(1.0, share)) if number > 0 and share > 0 else 0

    def _spread(self, histogram: dict[str, int], number: int, shares: Sequence[float]) -> None:
        left = 1.0
        for bucket, share in enumerate(shares):
            if not number or left <= 1e-12:
                break
            count = self._draw(number, share / left)
            if count:
                histogram[str(bucket)] = histogram.get(str(bucket), 0) + count
            number, left = number - count, left - share

    def public(
        self, behaviours: Mapping[str, Behaviour], moment: Moment, seconds: float
    ) -> tuple[dict[str, Any], dict[str, int]]:
        """Return the figures of an interval's public requests by slot, and how many orders each side took."""
        log, orders = EdgeLog(["/"]), {"live": 0, "candidate": 0}
        self._scan(moment, log)
        for client, number in self.crowd.requests(self.now, seconds):
            for _ in range(number):
                known, group = client.known, client.number if client.cookies else self.chance.randrange(GROUPS)
                side = "candidate" if group % 100 < moment.share else "live"
                # The edge gives cookies only during a canary.
                client.known = known or (client.cookies and 0 < moment.share < PUBLIC)
                kind = "c" if known else "n" if 0 < moment.share < PUBLIC else ""
                name = self.chance.choices(self.names, cum_weights=client.mix)[0]
                response = self._response(behaviours[side], side, name, client)
                if name == ORDER and response[0] < 400 and self.chance.random() < 0.5 * behaviours[side].orders:
                    orders[side] += 1
                log.take(_line(SLOTS[side], name, response, client.address, f"{kind}{group}" if kind else ""))
        self.now += seconds
        return log.slots(), orders

    def _scan(self, moment: Moment, log: EdgeLog) -> None:
        """Write the requests of a scanner to the log, a client of the live slot."""
        for number in range(SCANS * self.release.scanner):
            side = "candidate" if moment.share == PUBLIC else "live"
            path = f"GET /x{number % self.release.scanner}"
            log.take(_line(SLOTS[side], path, (404, 5.0), SCANNER, "c99" if moment.share else ""))

    def before(self, seconds: float) -> dict[str, Any]:
        """Return what canary_traffic would return for the baseline, in parts of so many seconds."""
        moment = Moment(0.0, 0, -1)
        usual = self.release.live(moment)
        parts = [
            {"seconds": seconds, "slots": self.public({"live": usual, "candidate": usual}, moment, seconds)[0]}
            for _ in range(int(ROLE["canary_baseline_seconds"] / seconds))
        ]
        return {"edge1": {"parts": parts, "mark": {}, "seconds": float(ROLE["canary_baseline_seconds"])}}

    def _response(self, behaviour: Behaviour, side: str, name: str, client: Client) -> tuple[int, float]:
        route, chance = self.release.routes[name], self.chance
        milliseconds = self._milliseconds(route, behaviour, client.factor)
        if behaviour.late[0] and self._late(behaviour, side):
            milliseconds += behaviour.late[1]
        if client.broken[0] and chance.random() < client.broken[0]:
            return client.broken[1], milliseconds
        if chance.random() < behaviour.failing.get(name, behaviour.failing.get("", 0.0)):
            return 500, milliseconds
        if chance.random() < behaviour.refusing.get(name, behaviour.refusing.get("", 0.0)):
            return 404, milliseconds
        return 200, milliseconds

    def interval(self, moment: Moment, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what canary_probe and canary_traffic would return for an interval."""
        behaviours = {"live": self.release.live(moment), "candidate": self.release.candidate(moment)}
        slots, orders = self.public(behaviours, moment, seconds)
        probes, watched = {}, {}
        probed = [name for name, route in self.release.routes.items() if route.probed]
        for side, behaviour in behaviours.items():
            each = int(PROBE_RATE / 2 * seconds / len(probed)) if probed else 0
            probes[side] = self.probes(behaviour, dict.fromkeys(probed, each), side)
            watched[side] = [self._process(behaviour, orders[side], side, moment)]
        return (
            {"probes": probes, "watched": watched, "notes": [], "seconds": seconds},
            {"edge1": {"slots": slots, "mark": {}, "gaps": [], "waiting": {}}},
        )

    def _process(self, behaviour: Behaviour, orders: int, side: str, moment: Moment) -> dict[str, Any]:
        problems = ["portal on app1 was restarted"] if behaviour.restarts else []
        if side == "candidate" and behaviour.release != "1.1":
            problems.append(f"portal on app1 runs release {behaviour.release}, not 1.1")
        # A new process fills its caches over some minutes.
        warm = 1 - math.exp(-moment.seconds / 60) if side == "candidate" else 1.0
        return {
            "service": "portal",
            "host": "app1",
            "metric": float(orders),
            "memory": behaviour.memory * (0.6 + 0.4 * warm) + self.chance.uniform(0, 0.5) * MIB,
            "limit": 256.0 * MIB,
            "problems": problems,
            "unread": [],
        }


def _line(slot: str, name: str, response: tuple[int, float], address: str, group: str) -> str:
    """Return a line of the edge's log; `response` is (status, milliseconds)."""
    (method, path), (status, milliseconds) = name.split(" "), response
    return (
        f'{{"client":"{address}","group":"{group}","method":"{method}","path":"{path}","status":{status},'
        f'"slot":"{slot}","chosen":"live","server":"app1","ms":{milliseconds:.0f},"termination":"--"}}'
    )


@dataclass(frozen=True)
class Outcome:
    """The end of a rollout: the last step's `verdict`, its weight (`share`), the `seconds` until then, and why."""

    verdict: str
    share: int
    seconds: float
    line: str
    met: int
    """Requests of public traffic that the candidate had served by then."""


def rollout(
    release: Release, rate: float, step: float, chance: random.Random, shares: Sequence[int] = SHARES
) -> Outcome:
    """Roll out a release as cutover.yml does, with `rate` requests per second and steps of `step` seconds."""
    world, seconds, number, limits = World(release, rate, chance), 0.0, 0, LIMITS
    result: dict[str, Any] | None = None
    for share in shares:
        plan = {"slot": "green", "weight": share, "began": 1.0, "seconds": step, "interval": INTERVAL}
        result = canary_step.begun(result, plan)
        if share == PUBLIC and not result["intervals"]:
            result = canary_step.opened(result, world.before(result["length"]), {})
        passes = release.candidate(Moment(seconds, share, number)).journey
        journeys = {"checks": [{"name": "login", "ok": chance.random() < passes, "expected": "303", "got": "500"}]}
        while result["left"] > 0:
            moment = Moment(seconds, share, number)
            probed, traffic = world.interval(moment, result["length"])
            result = canary_step.continued(result, probed, traffic, journeys, limits)
            seconds, number = seconds + result["length"], number + 1
        if result["verdict"] != "pass":
            break
    assert result is not None
    met = result["figures"]["public"]["candidate"]["requests"]
    return Outcome(result["verdict"], result["weight"], seconds, result["line"], met)
