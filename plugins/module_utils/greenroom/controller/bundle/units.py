# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The systemd units of a bundle."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .description import Description, Groups, Service
from .files import QUADLET_FOLDER


def unit_name(service: str, slot: str) -> str:
    """Return the name of the systemd unit that runs `service` in `slot`."""
    return f"{service}-{slot}.service"


def units(services: Iterable[Service], folder: str, slot: str, followers: str = "unchanged") -> list[dict[str, Any]]:
    """Return the units of a bundle. `followers` is the state of background services.

    The activation manages them (`unchanged`). In a candidate they must be `stopped`: a cutover that died may have
    started them.
    """
    return [
        {
            "name": unit_name(service["name"], slot),
            "state": "started" if service["activation"] == "always" else followers,
            "on_change": "restart",
            "files": [f"{QUADLET_FOLDER}/{service['name']}-{slot}.container", f"{folder}/{service['name']}/*"],
        }
        for service in services
    ]


def slot_services(description: Description, host: str, groups: Groups) -> list[Service]:
    """Return the services that a slot has on `host`, sorted by name; the hosts are those of its own bundle."""

    def is_here(service: Service) -> bool:
        own = [member["name"] for member in description["hosts"].get(service["group"], [])]
        return host in (own or groups.get(service["group"], []))

    return [service for _, service in sorted(description["services"].items()) if is_here(service)]


def slot_units(description: Description, host: str, groups: Groups) -> list[str]:
    """Return the names of all units of a slot on `host`."""
    return [unit_name(service["name"], description["slot"]) for service in slot_services(description, host, groups)]


def slot_started(description: Description, host: str, groups: Groups) -> list[dict[str, Any]]:
    """Return the units that run in a slot whether it is live or not, in the state `started`."""
    return [
        {"name": unit_name(service["name"], description["slot"]), "state": "started", "on_change": "none", "files": []}
        for service in slot_services(description, host, groups)
        if service["activation"] == "always"
    ]
