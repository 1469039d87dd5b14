# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a drill can practise: what breaks and when, how the cut-over may end, and what keeps a drill from being held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

CLOCKS = 2.0
"""Seconds by which clocks may differ: what happened when is told by those of several machines."""


@dataclass(frozen=True)
class Scenario:
    """One thing to practise. `moment` is when something breaks: before, during or after the cut-over; "" never."""

    says: str
    ends: tuple[str, ...]
    """How the cut-over may end: done, refused or killed."""
    moment: str = ""
    group: str = ""
    """Whose hosts break; "" is the machine that runs the cut-over."""
    how: str = ""
    lossless: bool = True
    """Whether no request may be lost at all, or some while it is broken (and some time to recover)."""
    felt: bool = False
    """Whether requests have to be lost while it is broken: if none were, the drill has not practised what it says."""
    back_while_broken: bool = False
    """Whether the way back is taken before the fault is undone."""

    @property
    def canary(self) -> bool:
        """Whether the cut-over goes in steps, so that there is time in between."""
        return self.moment == "during"


SCENARIOS = {
    "none": Scenario("Nothing breaks: the public is moved to the other slot, and back.", ("done",)),
    "candidate-unhealthy": Scenario(
        "A service of the candidate is stopped. The cut-over has to be refused before anybody sees the candidate.",
        ("refused",),
        moment="before",
        group="app",
        how="stopped",
    ),
    "fails-after-cutover": Scenario(
        "A service of the new live slot is stopped once it serves. The way back has to end what people notice.",
        ("done",),
        moment="after",
        group="app",
        how="stopped",
        lossless=False,
        felt=True,
        back_while_broken=True,
    ),
    "edge-killed": Scenario(
        "HAProxy is killed on the edge host that holds the shared address, while the candidate has a share of the "
        "public. Another edge has to take over; the cut-over may be finished or refused, but never on some hosts only.",
        ("done", "refused"),
        moment="during",
        group="edge",
        how="killed",
        lossless=False,
    ),
    "operator-killed": Scenario(
        "The cut-over's own process is killed while the candidate has a share of the public. Nobody may notice, and "
        "the edge or the next operator has to be able to end the operation.",
        ("killed",),
        moment="during",
    ),
    "database-restarted": Scenario(
        "The database is restarted while the candidate has a share of the public. The cut-over may be finished or "
        "refused.",
        ("done", "refused"),
        moment="during",
        group="data",
        how="restarted",
        lossless=False,
    ),
}


def scenario(name: str) -> dict[str, Any]:
    """Return a scenario as a mapping, with its `name` and `canary`; KeyError when there is none of this name."""
    found = SCENARIOS[name]
    return {"name": name, "canary": found.canary, **asdict(found)}


def refusals(name: str, seen: Mapping[str, Any]) -> list[str]:
    """Return why the drill `name` can't be held, as a line each.

    `seen` is {protected, image, endpoints: whether there is something to ask for, rate: requests a second, limit: those
    that the edge takes in a minute or 0, live, idle, bundles: {slot: any}, edges: {host: {live, phase, in_force}},
    address: the one that the edges share, groups, service: the one that is to break or "", broken: {host: [unit]},
    clock: seconds by which the load's host is ahead}.
    """
    if name not in SCENARIOS:
        return [f"fault is '{name}', and there are {', '.join(SCENARIOS)}"]
    return [*_lacking(name, seen), *_unsettled(seen)]


def _lacking(name: str, seen: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the environment lacks for it."""
    practised = SCENARIOS[name]
    if not seen["image"]:
        yield "the release has no image of visitors, so nobody would ask for anything"
    if not seen["endpoints"]:
        yield "the load tests' endpoints are off (portal_test_endpoints); name a path: -e drill_path=/version"
    if 0 < seen["limit"] < seen["rate"] * 60:
        yield (
            f"the edge takes {seen['limit']} requests a minute from one address, and the load makes "
            f"{seen['rate'] * 60:.0f}; give a smaller drill_load, or name the ops group in edge_limit_exempt"
        )
    if not seen["live"]:
        yield "no slot is live"
    elif seen["idle"] not in seen["bundles"]:
        yield f"the {seen['idle']} slot is empty; deploy a release to it first (playbooks/deploy.yml)"
    if practised.how and seen["protected"]:
        yield f"the environment is protected; nothing is broken in it, so only fault=none is practised, not {name}"
    if practised.group and not seen["groups"].get(practised.group):
        yield f"there is no host in the group {practised.group} that could break"
    if practised.group == "app" and seen["idle"] in seen["bundles"]:
        try:
            service(seen["bundles"][seen["idle"]], seen["service"])
        except ValueError as error:
            yield str(error)
    if practised.group == "edge" and (len(seen["groups"].get("edge", [])) < 2 or not seen["address"]):
        yield "no two edge hosts share an address (keepalived_address): nobody would take over"


def _unsettled(seen: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to be over first: a drill ends as it began."""
    for host, edge in seen["edges"].items():
        if edge["phase"] != "idle":
            yield f"an operation is under way on {host} ({edge['phase']}); end it first (playbooks/abort.yml)"
        elif (seen["live"] and edge["live"] != seen["live"]) or not edge["in_force"]:
            yield f"{host} does not serve {seen['live']} as recorded; look at it first (playbooks/status.yml)"
    for host, units in seen["broken"].items():
        if units:
            yield f"an earlier drill keeps {', '.join(units)} down on {host}; that ends by itself within its limit"
    if abs(seen["clock"]) > CLOCKS:
        yield f"the clocks of this machine and of the load's host differ by {abs(seen['clock']):.0f} s"


def service(description: Mapping[str, Any], name: str = "") -> dict[str, str]:
    """Return {name, group} of a service; without a name of the one behind `/`, else behind another route.

    `description` is what a slot's bundle says about it. Raises ValueError when there is no such service.
    """
    services: Mapping[str, Any] = description["services"]
    routed = [(route["path"] != "/", other) for other, found in services.items() for route in found["routes"]]
    chosen = name or (min(routed)[1] if routed else "")
    if chosen not in services:
        raise ValueError(f"drill_service: the slot has no service {name}" if name else "no service has a route")
    return {"name": chosen, "group": str(services[chosen]["group"])}
