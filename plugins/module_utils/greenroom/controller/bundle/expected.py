# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What must run while a slot is live, for alerts.

systemd forgets a unit that was stopped, so its absence is the sign.
"""

from __future__ import annotations

from collections.abc import Mapping

from .activation import first_host
from .description import Description, Groups
from .jobs import jobs_on, timer
from .units import unit_name


def expected(bundles: Mapping[str, Description], groups: Groups) -> list[dict[str, str]]:
    """Return the units that must be active on each host while the unit's slot is live: {host, name, service, slot}.

    `bundles` = {slot: description of its bundle}, `groups` = {group: [host]}.
    """
    found = []
    for slot, description in sorted(bundles.items()):
        for name, service in description.get("services", {}).items():
            hosts = groups.get(service["group"], ())
            if service["activation"] == "singleton":
                hosts = [host for host in hosts if host == first_host(description, service, groups)]
            own = [member["name"] for member in description["hosts"].get(service["group"], [])]
            found += [
                {"host": host, "name": unit_name(name, slot), "service": name, "slot": slot}
                for host in hosts
                if host in own or not own
            ]
        for host in sorted({host for hosts in groups.values() for host in hosts}):
            found += [
                {"host": host, "name": f"{timer(job['stem'])}.timer", "service": job["service"], "slot": slot}
                for job in jobs_on(description, host, groups)
            ]
    return sorted(found, key=lambda unit: [unit[key] for key in ("slot", "service", "name", "host")])
