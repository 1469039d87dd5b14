# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who calls outside services, as the egress guard tells callers apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...common.container_mac import mac_address
from ...switch.bluegreen import SLOTS
from ..catalogue.derived_names import containers
from ..hosts.egress import HOST, STRIDE


def callers(catalogue: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return who may call, as {name, place, macs}: hosts' own processes, then each service of the catalog and slots.

    `place` is the caller's place among the guard's ports, `macs` are the addresses of its containers' network cards.
    """
    found: dict[str, set[str]] = {}
    for slot in SLOTS:
        for services in (catalogue, bundles.get(slot, {}).get("services", {})):
            for name, service in services.items():
                found.setdefault(name, set()).update(map(mac_address, containers(name, slot, service)))
    # Services beyond the ports count as the host.
    named = sorted(found)[: STRIDE - 1]
    return [{"name": HOST, "place": 0, "macs": []}] + [
        {"name": name, "place": place, "macs": sorted(found[name])} for place, name in enumerate(named, 1)
    ]
