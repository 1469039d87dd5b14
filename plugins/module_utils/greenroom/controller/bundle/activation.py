# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The activation: starts the background services of the live slot, and stops those of the other slot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .description import Description, Groups, Service
from .units import slot_services, unit_name


def first_host(description: Description, service: Service, groups: Groups) -> str | None:
    """Return the host that a singleton runs on: the first of its group that is also in the slot's description."""
    own = [member["name"] for member in description["hosts"].get(service["group"], [])]
    return next((name for name in groups.get(service["group"], []) if name in own or not own), None)


def live_only(description: Description, host: str, groups: Groups) -> list[str]:
    """Return the names of the background services that run on `host` while the slot is live.

    `groups` = {group: [host]}. A host that the environment got since the slot was deployed has none of them.
    """
    here = slot_services(description, host, groups)

    def runs_here(service: Service) -> bool:
        if service["activation"] == "singleton":
            return first_host(description, service, groups) == host
        return service["activation"] == "live_only" and service in here

    return sorted(name for name, service in description["services"].items() if runs_here(service))


def moving_singletons(live: Description, other: Description, groups: Groups) -> dict[str, str]:
    """Return the singletons that run on another host in the other slot: {service: its host in the other slot}."""
    found = {}
    for name, service in live["services"].items():
        before = other["services"].get(name)
        if before and "singleton" == service["activation"] == before["activation"]:
            there = first_host(other, before, groups)
            if there not in (None, first_host(live, service, groups)):
                found[name] = str(there)
    return found


def unrivaled(services: Mapping[str, Service], other: Description | None) -> list[str]:
    """Return the singletons with routes that the `other` slot doesn't have: no second instance can run there.

    So they run in the idle slot, too, where they are checked before traffic moves.
    """
    known = (other or {}).get("services", {})
    return [
        name
        for name, service in services.items()
        if service["activation"] == "singleton" and service.get("routes") and name not in known
    ]


def startable(
    services: Sequence[Service], description: Description, live: Description | None, host: str, groups: Groups
) -> list[Service]:
    """Return a candidate's services on `host`: the unrivaled singletons that run here as if they were `always`."""
    alone = [
        name
        for name in unrivaled({service["name"]: service for service in services}, live)
        if live and first_host(description, description["services"][name], groups) == host
    ]
    return [{**service, "activation": "always"} if service["name"] in alone else service for service in services]


def idle_units(other: Description, live: Description | None = None) -> list[dict[str, Any]]:
    """Return the units of the idle slot's background services, in the state `stopped`."""
    alone = unrivaled(other["services"], live) if live else []
    idle = sorted(
        name for name, service in other["services"].items() if service["activation"] != "always" and name not in alone
    )
    return [{"name": unit_name(name, other["slot"]), "state": "stopped", "files": []} for name in idle]


def live_only_units(
    live: Description, other: Description, host: str, groups: Groups, silent: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return the units of the activation: first those to stop, then those to start, so that no job runs twice.

    The units of each slot come from its own bundle. A singleton that may still run on one of the `silent` hosts, for
    the other slot, doesn't start here.
    """
    elsewhere = [name for name, there in moving_singletons(live, other, groups).items() if there in silent]
    started = [
        {"name": unit_name(name, live["slot"]), "state": "started", "on_change": "none", "files": []}
        for name in live_only(live, host, groups)
        if name not in elsewhere
    ]
    started += [
        {"name": unit_name(name, other["slot"]), "state": "started", "on_change": "none", "files": []}
        # A slot that was never deployed has no hosts: its services are those of the catalog, which has no units there.
        for name in (unrivaled(other["services"], live) if other["hosts"] else ())
        if first_host(other, other["services"][name], groups) == host
    ]
    return [*idle_units(other, live), *started]


def live_file(description: Description, folder: str, host: str, groups: Groups) -> dict[str, str]:
    """Return the file with the units that run on `host` while the slot is live, for `greenroom-live` after a reboot."""
    names = [unit_name(name, description["slot"]) for name in live_only(description, host, groups)]
    return {"dest": f"{folder}.live", "content": "".join(f"{name}\n" for name in names)}
