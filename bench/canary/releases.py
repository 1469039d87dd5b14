# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Simulated releases: good ones with the usual disturbances, and bad ones."""

from __future__ import annotations

import random
from dataclasses import replace

from bench.canary.behaviour import LOGIN, MIB, ORDER, Behaviour, Moment, Release


class Identical(Release):
    """The same as the live release. One of the clients that stay is broken and sticks to its slot."""

    kind = "identical releases, at least one client is broken"
    broken = True


class Good(Release):
    """As good as the live release: a little faster or slower, with one of the usual disturbances."""

    kind = "good releases"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.factor = chance.uniform(0.8, 1.2)
        self.memory = chance.uniform(60, 160) * MIB
        self.event = chance.choice(["nothing", "pause here", "pause there", "database", "neighbour", "leak in both"])
        self.event_at = chance.randrange(16)

    def live(self, moment: Moment) -> Behaviour:
        """Return the behavior of the live slot."""
        usual = replace(super().live(moment), memory=self.memory)
        if self.event == "leak in both":
            usual = replace(usual, memory=self.memory + moment.seconds / 60 * 3 * MIB)
        if moment.number == self.event_at:
            if self.event == "database":
                # Both slots fail for a second or two.
                usual = replace(usual, failing={"": 0.1})
            if self.event == "neighbour":
                usual = replace(usual, factor=3.0)
            if self.event == "pause there":
                usual = replace(usual, slow=(0.1, 80.0))
        return usual

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        usual = self.live(moment)
        here = self.event == "pause here" and moment.number == self.event_at
        there = self.event == "pause there" and moment.number == self.event_at
        slow = (0.1, 80.0) if here else self.tail if there else usual.slow
        # Caches are cold in the first interval.
        cold = 1.3 if moment.number == 0 else 1.0
        return replace(usual, factor=usual.factor * self.factor * cold, slow=slow)


class Errors(Release):
    """Some requests fail behind a healthy health page."""

    kind = "5 % of 500s behind a healthy health page"

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), failing={"": self.base + 0.05, "GET /static": 0.0}, journey=0.6)


class Leak(Release):
    """A resource runs out over hours: slower and slower, then errors."""

    kind = "slow leak (slower by the hour, then errors)"
    long = True

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.hours = chance.uniform(1, 2.5)

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        done = moment.seconds / 3600 / self.hours
        failing = {"": self.base + (0.3 if done > 1 else 0.0)}
        return replace(self.live(moment), factor=1 + 3 * done**2, failing=failing)


class SlowTail(Release):
    """Some requests take very long."""

    kind = "slow p99 only (4 % of requests, half a second and more)"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.slowest = 800 / min(route.median for route in self.routes.values())

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), slow=(self.tail[0] + 0.04, max(30.0, self.slowest)))


class OneRoute(Release):
    """One route fails for most requests, and no probe uses it."""

    kind = "errors on one route that is not probed"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.share = chance.uniform(0.5, 1)

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), failing={"": self.base, ORDER: self.share}, journey=1 - self.share)


class AfterTheCutOver(Release):
    """Good as a canary, bad with all traffic."""

    kind = "fails only after the cutover"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.share, self.factor = chance.choice([(0.1, 1.0), (0.4, 2.0), (0.0, 6.0)])

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        if moment.share < 100:
            return self.live(moment)
        return replace(self.live(moment), failing={"": self.base + self.share}, factor=self.factor, slow=(0.3, 10.0))


class Memory(Release):
    """Memory use that grows until the limit."""

    kind = "memory growth (0.3 to 2 MiB a minute)"
    long = True

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.pace = chance.uniform(0.3, 2.0)

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        grown = 90 * MIB + moment.seconds / 60 * self.pace * MIB
        return replace(self.live(moment), memory=min(grown, 256.0 * MIB))


class WrongVersion(Release):
    """A process that runs a different release than its bundle."""

    kind = "wrong version"

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), release="1.0")


class BrokenLogin(Release):
    """All logins fail."""

    kind = "broken login for all users"

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), refusing={"": self.lost, LOGIN: 1.0}, orders=0.0, journey=0.0)


class SomeLogins(Release):
    """Some logins fail, but not those of smoke checks."""

    kind = "broken login for a third of the users"
    probed = False

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), refusing={"": self.lost, LOGIN: 0.33}, orders=0.67)


class NoOrders(Release):
    """All responses look right, and no order is written."""

    kind = "orders are lost although responses look good"
    probed = False

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), orders=0.0)


class Slow(Release):
    """All requests are slower."""

    kind = "three times as slow, plus 100 ms"

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        slowest = min(route.median for route in self.routes.values())
        return replace(self.live(moment), factor=3.0 + 100 / slowest)


class CrashLoop(Release):
    """A process that crashes and restarts every few minutes."""

    kind = "crashes and restarts every two minutes"

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        crashed = moment.number % 8 == 7
        return replace(self.live(moment), restarts=crashed, failing={"": self.base + (0.15 if crashed else 0.0)})


class Late(Release):
    """Every 40th request waits for something that does not come, of requests that take tens of milliseconds."""

    kind = "every 40th request takes 1.5 s longer"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.routes = {
            name: replace(each, sigma=0.5, median=min(60.0, each.median)) for name, each in self.routes.items()
        }
        self.tail = (0.0, 1.0)

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), late=(40, 1500.0))


class Scanned(Release):
    """Nobody can order any more, while a scanner requests sixty paths that don't exist."""

    kind = "no order succeeds, and a scanner requests 60 other paths"
    probed = False
    scanner = 60

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), failing={"": self.base, ORDER: 1.0})
