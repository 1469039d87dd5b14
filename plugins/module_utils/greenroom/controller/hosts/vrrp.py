# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""VRRP: the address that the edge hosts share, and the interface that carries it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from .networks import network_of


def shared_address_problems(address: str, network: str, hosts: Mapping[str, str]) -> list[str]:
    """Return one line for each reason why `address` can't be shared by hosts in `network`; none where it is empty.

    `hosts` = {host: its own address}.
    """
    if not address:
        return []
    try:
        found = ipaddress.IPv4Address(address)
    except ValueError:
        return [f"keepalived_address: {address!r} is not an IPv4 address"]
    lines = [f"keepalived_address: {address} is {host}'s own" for host, own in hosts.items() if own == address]
    if found not in network_of(network, f"environment_network: {network!r} is not a network"):
        lines.append(f"keepalived_address: {address} is not in the environment's network ({network})")
    return lines


def interface_of(facts: Mapping[str, Any], address: str) -> str:
    """Return the name of the interface that has the IPv4 `address`, from Ansible's `facts` of a host's network.

    Raises ValueError where none has it, as on hosts behind a translated address.
    """
    for name in facts.get("interfaces", []):
        # Facts are named as variables can be: br-lan is br_lan there.
        own = facts.get(name.replace("-", "_"), {})
        first = [own["ipv4"]] if "ipv4" in own else []
        if address in [found["address"] for found in [*first, *own.get("ipv4_secondaries", [])]]:
            return str(name)
    raise ValueError(f"no interface has the address {address}; set keepalived_interface")
