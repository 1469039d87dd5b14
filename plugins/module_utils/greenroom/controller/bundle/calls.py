# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The calls of services in a slot: which container may open connections to which one, at which port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...common.container_mac import mac_address
from ...switch.bluegreen import SLOTS
from ..catalogue.derived_names import containers


def calls(catalogue: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the calls that a host's slots allow, as {caller, called, saddr, daddr, port}, sorted.

    `bundles` = {slot: description of its bundle}. The catalog's calls are allowed in both slots, because it may be
    deployed to any, and those of a bundle in its slot. `caller` and `called` are names of containers, `saddr` and
    `daddr` the addresses of their network cards.
    """
    found = {
        each
        for slot in SLOTS
        for services in (catalogue, bundles.get(slot, {}).get("services", {}))
        for each in _of_slot(services, slot)
    }
    return [
        {"caller": caller, "called": called, "saddr": mac_address(caller), "daddr": mac_address(called), "port": port}
        for caller, called, port in sorted(found)
    ]


def _of_slot(services: Mapping[str, Any], slot: str) -> Iterator[tuple[str, str, int]]:
    for name, service in services.items():
        # Bundles of earlier versions name no calls. Their containers have other addresses, which nothing limits.
        for call in service.get("calls", []):
            called, _, port = call.partition(".")
            number = services[called]["ports"][port]["container"]
            yield from ((container, f"{called}-{slot}", number) for container in containers(name, slot, service))
