# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""VRRP: the shared address of the edge hosts, and its interface."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from .networks import network_of


def shared_address_problems(address: str, network: str, hosts: Mapping[str, str]) -> list[str]:
    """Return one line for each reason why hosts in `network` can't share `address`; an empty address has none.

    `hosts` = {host: its own address}. An empty `network` is not known: the address is in a public one.
    """
    if not address:
        return []
    try:
        found = ipaddress.IPv4Address(address)
    except ValueError:
        return [f"keepalived_address: {address!r} is not an IPv4 address"]
    lines = [
        f"keepalived_address: {address} is the address of {host}; choose an unused one"
        for host, own in hosts.items()
        if own == address
    ]
    if network and found not in network_of(network, f"environment_network: {network!r} is not a network"):
        lines.append(f"keepalived_address: {address} is not in the environment's network ({network})")
    return lines


def ipv6_address_problems(address: str, shared: str) -> list[str]:
    """Return why hosts can't share the IPv6 `address` besides the IPv4 address `shared`; none for an empty address."""
    if not address:
        return []
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return [f"keepalived_ipv6_address: {address!r} is not an IPv6 address"]
    lines = [] if shared else ["keepalived_ipv6_address: set keepalived_address, too; the two move together"]
    if found.is_link_local or found.is_loopback or found.is_multicast or found.is_unspecified:
        lines.append(
            f"keepalived_ipv6_address: visitors can't reach {address}; choose a global or unique local address"
        )
    return lines


def interface_of(facts: Mapping[str, Any], address: str) -> str:
    """Return the name of the interface with the IPv4 `address`. `facts` are a host's, as the module setup returns them.

    Raises ValueError if no interface has it, as on hosts behind NAT.
    """
    for name in facts.get("ansible_interfaces", []):
        # Names of facts have no dashes: the fact of br-lan is ansible_br_lan.
        own = facts.get(f"ansible_{name.replace('-', '_')}", {})
        first = [own["ipv4"]] if "ipv4" in own else []
        if address in [found["address"] for found in [*first, *own.get("ipv4_secondaries", [])]]:
            return str(name)
    raise ValueError(f"no interface has the address {address}; set keepalived_interface")
