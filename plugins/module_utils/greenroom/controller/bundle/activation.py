# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The activation: starts the background services of the live slot, and stops those of the other slot."""

from __future__ import annotations

from typing import Any

from .description import Description, Groups, Service
from .units import unit_name


def live_only(description: Description, host: str, groups: Groups) -> list[str]:
    """Return the names of the background services that run on `host` while the slot is live.

    `groups` = {group: [host]}. A singleton runs on the first host of its group that is also in the slot's description.
    """

    def runs_here(service: Service) -> bool:
        hosts = groups.get(service["group"], [])
        if service["activation"] == "singleton":
            own = [member["name"] for member in description["hosts"].get(service["group"], [])]
            return [name for name in hosts if name in own or not own][:1] == [host]
        return service["activation"] == "live_only" and host in hosts

    return sorted(name for name, service in description["services"].items() if runs_here(service))


def live_only_units(live: Description, other: Description, host: str, groups: Groups) -> list[dict[str, Any]]:
    """Return the units of the activation: first those to stop, then those to start, so that no job runs twice.

    The units of each slot come from its own bundle.
    """
    idle = sorted(name for name, service in other["services"].items() if service["activation"] != "always")
    after_reboot = [{"name": "greenroom-live.service", "state": "started", "enabled": True, "on_change": "none"}]
    stopped = [{"name": unit_name(name, other["slot"]), "state": "stopped", "files": []} for name in idle]
    started = [
        {"name": unit_name(name, live["slot"]), "state": "started", "on_change": "none", "files": []}
        for name in live_only(live, host, groups)
    ]
    return [*stopped, *started, *after_reboot]
