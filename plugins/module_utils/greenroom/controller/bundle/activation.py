# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The activation: which background services run, because their slot is live."""

from __future__ import annotations

from typing import Any

from .description import Description, Groups, Service
from .units import unit_name


def live_only(description: Description, host: str, groups: Groups) -> list[str]:
    """Return the names of the slot's services that run on `host` when, and only when, the slot is live.

    `groups` are hosts by group: a singleton runs on the first host of its group that the slot has.
    """

    def runs_here(service: Service) -> bool:
        hosts = groups.get(service["group"], [])
        if service["activation"] == "singleton":
            own = [member["name"] for member in description["hosts"].get(service["group"], [])]
            return [name for name in hosts if name in own or not own][:1] == [host]
        return service["activation"] == "live_only" and host in hosts

    return sorted(name for name, service in description["services"].items() if runs_here(service))


def live_only_units(live: Description, other: Description, host: str, groups: Groups) -> list[dict[str, Any]]:
    """Units of the activation: the other slot's stop before the live slot's start, so that no job runs twice.

    Each side's are those that its own bundle has.
    """
    idle = sorted(name for name, service in other["services"].items() if service["activation"] != "always")
    target = [{"name": "greenroom-live.target", "state": "started", "enabled": True, "on_change": "none"}]
    stopped = [{"name": unit_name(name, other["slot"]), "state": "stopped", "files": []} for name in idle]
    started = [
        {"name": unit_name(name, live["slot"]), "state": "started", "on_change": "none", "files": []}
        for name in live_only(live, host, groups)
    ]
    return [*stopped, *started, *target]
