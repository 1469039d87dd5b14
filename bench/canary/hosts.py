# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A simulated app host: the metrics pages of its services, and what systemd says about their units.

It has three services: the portal, which serves requests, a worker, and a clock that runs for the live slot only. They
are read by the code that reads real hosts.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plugins.module_utils.greenroom.canary import metrics_page
from plugins.module_utils.greenroom.canary.comparison import PUBLIC
from plugins.module_utils.greenroom.controller.canary import step, watch

HOST = "app1"
DAY = 86400.0
GROUPS = {"app": [HOST]}
SLOTS = {"live": "blue", "candidate": "green"}
RELEASES = {"live": "1.0", "candidate": "1.1"}
PORTS = {"metrics": {"host": {"blue": 18080, "green": 28080}, "bind": "0.0.0.0"}}
METRIC = "portal_orders_total"
RESTARTING = 0.5
"""How long a crashed unit waits for its restart, in seconds."""
PAGE = """\
portal_orders_total {orders}
process_resident_memory_bytes {memory:.0f}
process_start_time_seconds {started}
portal_build_info{{release="{release}"}} 1
"""
SHOWN = """\
NRestarts={restarts}
ExecMainStartTimestampMonotonic={started}
Id={unit}
ActiveState={state}
SubState={detail}
"""


def bundle(side: str, page: bool = True) -> dict[str, Any]:
    """Return a slot's description; without `page`, its portal has no metrics page."""
    kinds = {"portal": "always", "worker": "always", "clock": "singleton"}
    services: dict[str, dict[str, Any]] = {
        name: {"name": name, "group": "app", "activation": kind, "metrics": None, "ports": {}}
        for name, kind in kinds.items()
    }
    if page:
        services["portal"] |= {"metrics": {"port": "metrics", "path": "/metrics"}, "ports": PORTS}
    hosts = {"app": [{"name": HOST, "address": "198.18.10.21"}]}
    return {"slot": SLOTS[side], "release": RELEASES[side], "hosts": hosts, "services": services}


def catalogue(page: bool = True) -> dict[str, dict[str, Any]]:
    """Return the catalog of the candidate's release."""
    canary = {"metric": {"name": METRIC, "port": "metrics", "path": "/metrics"}} if page else None
    return {"portal": {"memory": "256M", "routes": [], "canary": canary}}


@dataclass
class Process:
    """A process of the portal: when it started, how often it was restarted, and the orders that it has counted."""

    started: float
    restarts: int = 0
    orders: int = 0


@dataclass(frozen=True)
class Portal:
    """What a portal does in an interval: the orders that it takes, its memory in bytes, its release, its restarts."""

    orders: int
    memory: float
    release: str
    restarts: bool


@dataclass
class Hosts:
    """The app host. `crashing` = {service: seconds} of the candidate's units that crash so long after each start."""

    crashing: Mapping[str, float]
    page: bool
    """Whether the candidate's portal has a metrics page."""
    chance: random.Random
    now: float
    processes: dict[str, Process] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    """When the candidate's units began to run."""

    def __post_init__(self) -> None:
        """Start both slots."""
        self._since = dict.fromkeys(("worker", "clock"), self.now - 60)
        self.processes = {"live": Process(self.now - DAY), "candidate": Process(self.now - 60)}
        self._bundles = {SLOTS[side]: bundle(side, self.page or side == "live") for side in SLOTS}
        self._targets = watch.targets(self._bundles, catalogue(self.page))
        self._pages = self._read({side: Portal(0, 0.0, release, False) for side, release in RELEASES.items()})

    def switch(self) -> None:
        """Send all traffic to the candidate: its clock starts."""
        self._since["clock"] = self.now

    @property
    def missing(self) -> list[str]:
        """What can't be compared at all."""
        return watch.missing_pages(self._bundles, catalogue(self.page), SLOTS["candidate"])

    def wanted(self, weight: int) -> list[dict[str, str]]:
        """Return the units that must run while the candidate has a weight."""
        return watch.units(self._bundles, SLOTS["candidate" if weight == PUBLIC else "live"], GROUPS)

    def readings(self, weight: int) -> dict[str, Any]:
        """Return what systemd says about the units now."""
        names = step.unit_command(self.wanted(weight), HOST)[3:]
        return step.unit_readings([{"item": HOST, "rc": 0, "stdout": "\n".join(map(self._unit, names))}])

    def watched(self, portals: Mapping[str, Portal]) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of the portals at the end of an interval in which they did this."""
        for side, portal in portals.items():
            process = self.processes[side]
            if portal.restarts:
                self.processes[side] = Process(
                    self.now - self.chance.uniform(0, 10),
                    process.restarts + 1,
                    self.chance.binomialvariate(portal.orders, 0.5),
                )
            else:
                process.orders += portal.orders
        before, self._pages = self._pages, self._read(portals)
        rows: dict[str, list[dict[str, Any]]] = {side: [] for side in SLOTS}
        for target, first, last in zip(self._targets, before, self._pages, strict=True):
            rows[_side(target["slot"])].append(metrics_page.compared(target, first, last))
        return rows

    def _read(self, portals: Mapping[str, Portal]) -> Sequence[metrics_page.Reading]:
        pages = []
        for target in self._targets:
            side = _side(target["slot"])
            process, portal = self.processes[side], portals[side]
            page = PAGE.format(
                orders=process.orders, memory=portal.memory, started=process.started, release=portal.release
            )
            pages.append(metrics_page.read(page, target["metric"]))
        return pages

    def _unit(self, unit: str) -> str:
        """Return what `systemctl show` writes about a unit."""
        service, _, slot = unit.removesuffix(".service").rpartition("-")
        side = _side(slot)
        process, up = self.processes[side], True
        started = process.started
        if side == "candidate":
            started = self._since.get(service, started)
        restarts = process.restarts if service == "portal" else 0
        if side == "candidate" and (period := self.crashing.get(service)):
            times, lived = divmod(self.now - started, period + RESTARTING)
            restarts += int(times)
            started, up = self.now - lived, lived < period
        return SHOWN.format(
            restarts=restarts,
            started=int(1e6 * started),
            unit=unit,
            state="active" if up else "activating",
            detail="running" if up else "auto-restart",
        )


def _side(slot: str) -> str:
    return next(side for side, name in SLOTS.items() if name == slot)
