# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The scenarios of drills: what fails and when, how the cutover may end, and why a drill can't start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

CLOCKS = 2.0
"""Seconds by which clocks may differ: the report compares times from several machines."""


@dataclass(frozen=True)
class Scenario:
    """A scenario. `moment` is the time of the fault: before, during or after the cutover; "" is no fault."""

    says: str
    ends: tuple[str, ...]
    """How the cutover may end: done, refused or killed."""
    moment: str = ""
    group: str = ""
    """The group whose hosts fail; "" is the machine that runs the cutover."""
    how: str = ""
    slot: str = "candidate"
    """The slot whose service fails, if it is a service: the candidate, or the previous slot."""
    lossless: bool = True
    """Whether no request may be lost at all. If false, some may be lost during the fault and the recovery time."""
    felt: bool = False
    """Whether some requests must be lost during the fault: otherwise, the fault had no effect."""
    back_while_broken: bool = False
    """Whether the rollback runs before the fault is undone."""

    @property
    def canary(self) -> bool:
        """Whether the cutover is a canary, so that there is time for a fault during it."""
        return self.moment == "during"

    @property
    def no_way_back(self) -> bool:
        """Whether a rollback must be refused until the fault is undone."""
        return self.slot == "previous"


SCENARIOS = {
    "none": Scenario("No fault: a cutover to the idle slot, and a rollback.", ("done",)),
    "candidate-unhealthy": Scenario(
        "A service of the candidate is stopped. The cutover must be refused before the candidate gets public traffic.",
        ("refused",),
        moment="before",
        group="app",
        how="stopped",
    ),
    "fails-after-cutover": Scenario(
        "A service of the new live slot is stopped after the cutover. The rollback must end the errors for clients.",
        ("done",),
        moment="after",
        group="app",
        how="stopped",
        lossless=False,
        felt=True,
        back_while_broken=True,
    ),
    "previous-does-not-start": Scenario(
        "A service of the previous slot goes down after the cutover and doesn't start again, like a release that "
        "refuses a newer database schema. A rollback must be refused at once, and no request may be lost. It works "
        "again when the service does.",
        ("done",),
        moment="after",
        group="app",
        how="stopped",
        slot="previous",
    ),
    "edge-killed": Scenario(
        "HAProxy is killed on the edge host that has the shared address, during a canary step. Another edge host must "
        "take over. The cutover may succeed or be refused, but with the same result on all edge hosts.",
        ("done", "refused"),
        moment="during",
        group="edge",
        how="killed",
        lossless=False,
    ),
    "operator-killed": Scenario(
        "The cutover's own process is killed during a canary step. No request may be lost. The watchdog of the edge "
        "hosts, or the next operator, must be able to end the operation.",
        ("killed",),
        moment="during",
    ),
    "database-restarted": Scenario(
        "The database is restarted during a canary step. The cutover may succeed or be refused.",
        ("done", "refused"),
        moment="during",
        group="data",
        how="restarted",
        lossless=False,
    ),
}


def scenario(name: str) -> dict[str, Any]:
    """Return a scenario as a mapping, with its `name` and properties; raises KeyError for an unknown name."""
    found = SCENARIOS[name]
    return {"name": name, "canary": found.canary, "no_way_back": found.no_way_back, **asdict(found)}


def known(name: str) -> bool:
    """Whether there is a scenario with this name."""
    return name in SCENARIOS


def refusals(name: str, seen: Mapping[str, Any]) -> list[str]:
    """Return the reasons why the drill `name` can't start, one line each.

    `seen` is {protected, image, endpoints: whether the slots have what the load requests, rate: requests a second,
    limit: requests a minute that the edge hosts allow or 0, live, idle, bundles: {slot: any}, edges: {host: {live,
    phase, in_force}}, address: the shared address of the edge hosts, groups, service: the one that fails or "",
    broken: {host: [unit]}, clock: seconds by which the load's host is ahead}.
    """
    if not known(name):
        return [f"there is no fault '{name}'; choose one of {', '.join(SCENARIOS)}"]
    return [*_lacking(name, seen), *_unsettled(seen)]


def _lacking(name: str, seen: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the environment lacks for the drill."""
    practised = SCENARIOS[name]
    if not seen["image"]:
        yield "the release has no image `visitors`, which sends the load's requests"
    if not seen["endpoints"]:
        yield (
            "a slot has no load test endpoints (the key `load` of a service); turn the service's toggle on in "
            "environment_toggles and deploy to both slots, or set another path: -e drill_path=/"
        )
    if 0 < seen["limit"] < seen["rate"] * 60:
        yield (
            f"the edge hosts allow {seen['limit']} requests a minute from one address, and the load sends "
            f"{seen['rate'] * 60:.0f}; set a smaller drill_load, or add the ops group to edge_limit_exempt"
        )
    if not seen["live"]:
        yield "no slot is live"
    elif seen["idle"] not in seen["bundles"]:
        yield f"the {seen['idle']} slot is empty; deploy a release to it first (playbooks/deploy.yml)"
    if practised.how and seen["protected"]:
        yield f"the environment is protected, so only fault=none is allowed, not {name}"
    if practised.group and not seen["groups"].get(practised.group):
        yield f"the group {practised.group}, in which this fault happens, has no hosts"
    slot = seen["live"] if practised.slot == "previous" else seen["idle"]
    if practised.group == "app" and slot in seen["bundles"]:
        try:
            service(seen["bundles"][slot], seen["service"])
        except ValueError as error:
            yield str(error)
    if practised.group == "edge" and (len(seen["groups"].get("edge", [])) < 2 or not seen["address"]):
        yield "no two edge hosts share an address (keepalived_address), so no other edge host can take over"


def _unsettled(seen: Mapping[str, Any]) -> Iterator[str]:
    """Yield what must be repaired or ended first, because a drill restores the state that it found."""
    for host, edge in seen["edges"].items():
        if edge["phase"] != "idle":
            yield f"an operation is in progress on {host} ({edge['phase']}); end it first (playbooks/abort.yml)"
        elif (seen["live"] and edge["live"] != seen["live"]) or not edge["in_force"]:
            yield f"{seen['live']} is not in effect on {host}; check its status first (playbooks/status.yml)"
    for host, units in seen["broken"].items():
        if units:
            yield f"an earlier drill keeps {', '.join(units)} down on {host}; the host undoes that at the drill's limit"
    if abs(seen["clock"]) > CLOCKS:
        yield (
            f"the clocks of the controller and of the load's host differ by {abs(seen['clock']):.0f} s; "
            "synchronize them"
        )


def endpoints(bundles: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether each slot has the load test endpoints: a service with `load`, whose toggle is on if it has one.

    `bundles` is {slot: description}.
    """
    return all(
        any(
            service["load"].get("toggle") is None or (description.get("toggles") or {}).get(service["load"]["toggle"])
            for service in description["services"].values()
            if service.get("load") is not None
        )
        for description in bundles.values()
    )


def service(description: Mapping[str, Any], name: str = "") -> dict[str, str]:
    """Return {name, group} of a service; without a name, of the one with the route `/`, or else any route.

    `description` is the description in a slot's bundle. Raises ValueError if there is no such service.
    """
    services: Mapping[str, Any] = description["services"]
    routed = [(route["path"] != "/", other) for other, found in services.items() for route in found["routes"]]
    chosen = name or (min(routed)[1] if routed else "")
    if chosen not in services:
        raise ValueError(f"drill_service: the slot has no service {name}" if name else "no service has a route")
    return {"name": chosen, "group": str(services[chosen]["group"])}
