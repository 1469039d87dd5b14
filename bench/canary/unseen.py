# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Simulated releases whose faults an interval may not see: what is missing, hangs, ends early, or restarts."""

from __future__ import annotations

import random
from dataclasses import replace

from bench.canary.behaviour import LOGIN, ORDER, Behaviour, Moment, Release
from bench.canary.edge import LOSSES


class NoRoute(Release):
    """The candidate has no route for a path, so the edge itself refuses its requests."""

    kind = "lacks a route that is not probed"
    probed = False
    catalogued = ("/start", "/orders", "/static")
    absent = "/login"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.routes["GET /start"] = self.routes.pop("GET /")


class NoProbedRoute(NoRoute):
    """Probes of the route get no response from the candidate."""

    kind = "lacks a route that is probed"
    probed = True
    catalogued = ("/start", "/static", "/login")
    absent = "/orders"


class Hangs(Release):
    """Requests get no response. The edge gives them up as late as a step ends, or much later."""

    kind = "logins and orders, which are not probed, hang for a minute or more"
    probed = False
    hanging: tuple[str, ...] = (LOGIN, ORDER)

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.timeout = chance.choice((60.0, 600.0))

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), hanging=self.hanging, timeout=self.timeout)


class ProbedHangs(Hangs):
    """A page that is probed gets no response."""

    kind = "a page that is probed hangs for a minute or more"
    probed = True
    hanging = ("GET /orders",)


class EndsEarly(Release):
    """Responses announce more bytes than they have."""

    kind = "responses to logins and orders, which are not probed, end early"
    probed = False
    cut: tuple[str, ...] = (LOGIN, ORDER)

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), cut=self.cut)


class ProbedEndsEarly(EndsEarly):
    """A page that is probed announces more bytes than it has."""

    kind = "a page that is probed ends early"
    probed = True
    cut = ("GET /orders",)


class LogLost(Release):
    """As good as the live release, but from some interval on, the edge's log lacks lines."""

    kind = "the edge's log lacks lines"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.loss = chance.choice(LOSSES)
        self.since = chance.randrange(16)

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), loss=self.loss if moment.number >= self.since else "")


class NoPage(Release):
    """The candidate has no metrics page any more, and loses all orders."""

    kind = "no metrics page any more, and orders are lost"
    page = False

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(self.live(moment), orders=0.0)


class WorkerCrashes(Release):
    """A service without requests crashes some seconds after each start."""

    kind = "a worker crashes again and again"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.crashing = {"worker": chance.uniform(1, 45)}


class ClockCrashes(Release):
    """A background service crashes some seconds after each start. It runs for the live slot only."""

    kind = "a singleton crashes again and again after the cutover"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.crashing = {"clock": chance.uniform(1, 45)}


class LiveRestarts(Release):
    """Orders are lost, and the live release restarts, so that its count begins again."""

    kind = "orders are lost, and the live release restarts"
    probed = False

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.at = chance.randrange(4)

    def live(self, moment: Moment) -> Behaviour:
        """Return the behavior of the live slot."""
        usual = super().live(moment)
        if moment.number < 0 or moment.number % 4 != self.at:
            return usual
        return replace(usual, restarts=True, failing={"": self.base + 0.02})

    def candidate(self, moment: Moment) -> Behaviour:
        """Return the behavior of the candidate."""
        return replace(super().live(moment), orders=0.0)
