# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The firewall: the published ports of services, and the rules of a host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .networks import merged, networks_of
from .services import everywhere

# The group whose hosts scrape metrics.
SCRAPERS = "ops"


def service_ports(
    catalogue: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Return the published ports of the catalog and of the slots as {name, ports, groups, from}.

    `bundles` = {slot: description of its bundle}. A port of the catalog has one entry for both slots. A metrics port is
    open to the hosts that scrape, too, unless it is bound to loopback.
    """
    found: dict[tuple[str, str, tuple[str, ...]], set[int]] = {}
    for name, service in everywhere(catalogue, bundles):
        for port, value in service["ports"].items():
            if value["bind"] == "127.0.0.1":
                continue
            sources = [str(source) for source in value["from"]]
            if service["metrics"] and service["metrics"]["port"] == port and SCRAPERS not in sources:
                sources.append(SCRAPERS)
            found.setdefault((f"{name} {port}", service["group"], tuple(sources)), set()).update(value["host"].values())
    return [
        {"name": name, "ports": sorted(ports), "groups": [group], "from": list(sources)}
        for (name, group, sources), ports in sorted(found.items())
    ]


def firewall_rules(
    ports: Iterable[Mapping[str, Any]],
    own_groups: Iterable[str],
    addresses: Mapping[str, Sequence[str]],
    container_networks: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return the firewall rules of one host, as {name, protocol, ports, ipv4: [network], ipv6: [network]}.

    A port is {name, ports: [int], groups: [groups with the port], from: [group, address or network]}, or has `protocol`
    (tcp by default) instead of `ports`. `own_groups` are the groups of the host, `addresses` = {group: [address]}. The
    containers of a host count as the host: their packets to it come from `container_networks`. Raises ValueError for a
    source that is neither a group nor an address.
    """
    own = set(own_groups) | {"all"}
    rules = []
    for port in ports:
        if not own & set(port["groups"]):
            continue
        sources = list(port["from"])
        protocol = port.get("protocol", "tcp")
        if own & set(sources) and protocol == "tcp":
            sources += container_networks
        networks = [network for source in sources for network in networks_of(str(source), addresses, port["name"])]
        kind = {"protocol": protocol, "ports": list(port.get("ports", []))}
        rule = {"ipv4": merged(networks, 4), "ipv6": merged(networks, 6)}
        if networks:
            rules.append({"name": port["name"], **kind, **rule})
    return rules


def local_ports(ports: Iterable[Mapping[str, Any]], own_groups: Iterable[str]) -> list[int]:
    """Return the published ports that a host both has and may reach from other hosts: its own processes may, too.

    The edge host of a small environment can be its app host, and its HAProxy is not root.
    """
    own = set(own_groups) | {"all"}
    both = [port["ports"] for port in ports if own & set(port["groups"]) and own & set(port["from"])]
    return sorted({number for numbers in both for number in numbers})
