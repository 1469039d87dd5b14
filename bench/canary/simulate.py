# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rollouts of simulated releases with a simulated clock, judged by the code that judges real ones.

Hosts are simulated: the edge's log and open requests (`edge`), metrics pages and units (`hosts`), and the results of
probes and smoke checks. All that reads them, and steps, intervals and the verdict, is the code of roles/canary.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from bench.canary.behaviour import MIB, ORDER, Behaviour, Moment, Release, Route, part_of
from bench.canary.clients import Client, Crowd
from bench.canary.edge import Answer, Edge, Sender, Waiting, line
from bench.canary.hosts import RELEASES, SLOTS, Hosts, Portal
from plugins.module_utils.greenroom.canary import figures as canary_figures
from plugins.module_utils.greenroom.canary import statistics
from plugins.module_utils.greenroom.canary.comparison import PUBLIC
from plugins.module_utils.greenroom.canary.edge_log import GROUPS
from plugins.module_utils.greenroom.canary.limits import Limits
from plugins.module_utils.greenroom.controller.canary import step as canary_step

ROLE = yaml.safe_load((Path(__file__).resolve().parents[2] / "roles/canary/defaults/main.yml").read_text())
LIMITS = Limits(**{field.name: ROLE[f"canary_{field.name}"] for field in fields(Limits)})
"""The limits that a rollout has unless an operator sets others."""
BUCKETS = 236
SHARES = (5, 25, 50, 100)
"""The last one is the bake."""
BAKE = 300.0
"""The shortest bake, in seconds."""
PROBE_RATE = 8.0
TIMEOUT = statistics.bucket(5000.0)
"""The latency of a probe that gets no response."""
INTERVAL = 15.0
SCANNER = Sender("192.0.2.1", "c99")
SCANS = 4
"""How often the scanner requests each of its paths in an interval."""


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
    """Public traffic, probes and hosts of one rollout."""

    def __init__(self, release: Release, rate: float, chance: random.Random) -> None:
        self.release = release
        self.chance = chance
        self.names = list(release.routes)
        self.crowd = Crowd(rate, [route.part for route in release.routes.values()], chance, release.broken)
        self.edge = Edge()
        self.hosts = Hosts(release.crashing, release.page, chance, self.edge.now)
        self.served = {"live": 0, "candidate": 0}
        """How many requests each slot has served, to count every nth."""

    def probes(self, behaviour: Behaviour, wanted: Mapping[str, int], side: str) -> dict[str, Any]:
        """Return the figures of the wanted number of probes of each route."""
        result = canary_figures.empty()
        for name, number in wanted.items():
            route = self.release.routes[name]
            hangs = name in behaviour.hanging
            failed = number if hangs or name in behaviour.cut else self._draw(number, part_of(behaviour.failing, name))
            refused = self._draw(number - failed, part_of(behaviour.refusing, name))
            result["routes"][name] = [number, failed, refused]
            for key, count in zip(("requests", "failed", "refused"), (number, failed, refused), strict=True):
                result[key] += count
            if hangs:
                result["latency"][TIMEOUT] = result["latency"].get(TIMEOUT, 0) + number
                continue
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

    def public(self, behaviours: Mapping[str, Behaviour], share: int, seconds: float) -> dict[str, int]:
        """Let time pass with public requests; returns how many orders each side took."""
        orders, begin = {"live": 0, "candidate": 0}, self.edge.now
        self.edge.loss = behaviours["candidate"].loss
        self._scan(share, begin + seconds / 2)
        for client, number in self.crowd.requests(begin, seconds):
            for _ in range(number):
                known, group = client.known, client.number if client.cookies else self.chance.randrange(GROUPS)
                side = "candidate" if group % 100 < share else "live"
                # The edge gives cookies only during a canary.
                client.known = known or (client.cookies and 0 < share < PUBLIC)
                kind = "c" if known else "n" if 0 < share < PUBLIC else ""
                name = self.chance.choices(self.names, cum_weights=client.mix)[0]
                sender = Sender(client.address, f"{kind}{group}" if kind else "")
                if self._hangs(behaviours[side], side, name, sender, seconds):
                    continue
                answer = self._answer(behaviours[side], side, name, client)
                good = answer.status < 400 and answer.termination == "--"
                if name == ORDER and good and self.chance.random() < 0.5 * behaviours[side].orders:
                    orders[side] += 1
                self.edge.log(line(SLOTS[side], name, answer, sender), begin + seconds / 2)
        self.edge.sleep(seconds)
        return orders

    def _scan(self, share: int, now: float) -> None:
        """Write the requests of a scanner to the log, a client of the live slot."""
        slot = SLOTS["candidate" if share == PUBLIC else "live"]
        for number in range(SCANS * self.release.scanner):
            path = f"GET /x{number % self.release.scanner}"
            self.edge.log(line(slot, path, Answer(404, 5.0), SCANNER if share else replace(SCANNER, group="")), now)

    def _hangs(self, behaviour: Behaviour, side: str, name: str, sender: Sender, seconds: float) -> bool:
        """Whether a request gets no response. The edge logs it when it gives up."""
        if name not in behaviour.hanging:
            return False
        since = self.edge.now + self.chance.uniform(0, seconds)
        answer = Answer(504, 1000 * behaviour.timeout, "sH")
        slot = SLOTS[side]
        self.edge.wait(Waiting(slot, since, since + behaviour.timeout, line(slot, name, answer, sender)))
        return True

    def _answer(self, behaviour: Behaviour, side: str, name: str, client: Client) -> Answer:
        route, chance = self.release.routes[name], self.chance
        if side == "candidate" and name.endswith(self.release.absent):
            return Answer(404, 0.0, "LR", nowhere=True)
        milliseconds = self._milliseconds(route, behaviour, client.factor)
        if behaviour.late[0] and self._late(behaviour, side):
            milliseconds += behaviour.late[1]
        if client.broken[0] and chance.random() < client.broken[0]:
            return Answer(client.broken[1], milliseconds)
        if chance.random() < part_of(behaviour.failing, name):
            return Answer(500, milliseconds)
        if chance.random() < part_of(behaviour.refusing, name):
            return Answer(404, milliseconds)
        return Answer(200, milliseconds, "SD" if name in behaviour.cut else "--")

    def before(self, seconds: float) -> dict[str, Any]:
        """Return the results of canary_traffic for the baseline, in parts of so many seconds."""
        usual, last = self.release.live(Moment(0.0, 0, -1)), float(ROLE["canary_baseline_seconds"])
        for _ in range(int(last / seconds)):
            self.public({"live": usual, "candidate": usual}, 0, seconds)
        return {"edge1": self.edge.read(last=last, interval=seconds, routes=self.release.catalogued)}

    def interval(self, moment: Moment, result: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the results of canary_probe and canary_traffic for the next interval of a step."""
        seconds = result["length"]
        behaviours = {"live": self.release.live(moment), "candidate": self.release.candidate(moment)}
        orders = self.public(behaviours, moment.share, seconds)
        probes, notes = {}, []
        probed = [name for name, route in self.release.routes.items() if route.probed]
        each = int(PROBE_RATE / 2 * seconds / len(probed)) if probed else 0
        for side, behaviour in behaviours.items():
            there = [name for name in probed if side == "live" or not name.endswith(self.release.absent)]
            probes[side] = self.probes(behaviour, dict.fromkeys(there, each), side)
            if len(there) < len(probed):
                notes.append(f"{each} probes got status 404 from the edge itself, not from the slot they asked for")
        portals = {side: self._portal(behaviours[side], orders[side], side, moment) for side in behaviours}
        self.hosts.now = self.edge.now
        traffic = self.edge.read(
            after=result["marks"]["edge1"],
            settle=ROLE["canary_settle_seconds"] if result["left"] == 1 else 0.0,
            routes=self.release.catalogued,
        )
        watched = self.hosts.watched(portals)
        return {"probes": probes, "watched": watched, "notes": notes, "seconds": seconds}, {"edge1": traffic}

    def switch(self) -> None:
        """Send all traffic to the candidate."""
        self.hosts.now = self.edge.now
        self.hosts.switch()

    def readings(self, share: int) -> dict[str, Any]:
        """Return what systemd says about the units now."""
        self.hosts.now = self.edge.now
        return self.hosts.readings(share)

    def _portal(self, behaviour: Behaviour, orders: int, side: str, moment: Moment) -> Portal:
        # A new process fills its caches over some minutes.
        warm = 1 - math.exp(-moment.seconds / 60) if side == "candidate" else 1.0
        memory = behaviour.memory * (0.6 + 0.4 * warm) + self.chance.uniform(0, 0.5) * MIB
        release = behaviour.release if side == "candidate" else RELEASES[side]
        return Portal(orders, memory, release, behaviour.restarts)


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
    world, seconds, number = World(release, rate, chance), 0.0, 0
    result: dict[str, Any] | None = None
    for share in shares:
        length = max(step, BAKE) if share == PUBLIC else step
        plan = {"slot": SLOTS["candidate"], "weight": share, "began": 1.0, "seconds": length, "interval": INTERVAL}
        result = canary_step.begun(result, plan)
        traffic: dict[str, Any] = {}
        if not result["marks"]:
            traffic = world.before(result["length"]) if share == PUBLIC else {"edge1": world.edge.read()}
        if share == PUBLIC:
            world.switch()
        result = canary_step.opened(result, traffic, world.readings(share), ROLE["canary_baseline_seconds"])
        passes = release.candidate(Moment(seconds, share, number)).journey
        journeys = {"checks": [{"name": "login", "ok": chance.random() < passes, "expected": "303", "got": "500"}]}
        while result["left"] > 0:
            probed, traffic = world.interval(Moment(seconds, share, number), result)
            seconds, number = seconds + result["length"], number + 1
            result = canary_step.continued(
                result,
                probed,
                traffic,
                journeys,
                LIMITS,
                wanted=world.hosts.wanted(share),
                readings=world.readings(share),
                missing=world.hosts.missing,
            )
        if result["verdict"] != "pass":
            break
    assert result is not None
    met = result["figures"]["public"]["candidate"]["requests"]
    return Outcome(result["verdict"], result["weight"], seconds, result["line"], met)
