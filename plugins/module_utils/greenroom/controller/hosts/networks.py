# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The networks that a rule allows, from groups, addresses and networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def source_networks(sources: Iterable[str], addresses: Mapping[str, Sequence[str]], purpose: str) -> list[str]:
    """Return the networks of `sources` (groups, addresses, networks), `addresses` = {group: [address]}.

    Raises ValueError, naming `purpose`, for a source that is neither.
    """
    return [str(network) for source in sources for network in networks_of(str(source), addresses, purpose)]


def networks_of(source: str, addresses: Mapping[str, Sequence[str]], rule: str) -> list[Network]:
    """Return the networks of `source`: a group's name, or an address or network.

    Raises ValueError, naming `rule`, for anything else.
    """
    if source not in addresses:
        known = ", ".join(sorted(addresses))
        return [network_of(source, f"{rule}: {source!r} is neither an address nor a group (groups: {known})")]
    help_line = "is not an address; set environment_address for its host"
    return [network_of(address, f"{rule}: {address!r} in group {source} {help_line}") for address in addresses[source]]


def network_of(address: str, message: str) -> Network:
    """Return an address or network as a network; raises ValueError with `message`."""
    try:
        return ipaddress.ip_network(address, strict=False)
    except ValueError:
        raise ValueError(message) from None


def merged(networks: Iterable[Network], version: int) -> list[str]:
    """Return the networks of one IP version, merged where they touch: nftables refuses overlaps in a set."""
    own = [network for network in networks if network.version == version]
    return [str(network) for network in ipaddress.collapse_addresses(own)]  # type: ignore[type-var]


def merged_texts(given: Iterable[str], version: int = 4) -> list[str]:
    """Return the networks of one IP version among `given`, merged where they touch."""
    return merged([network_of(str(each), f"{each!r} is not an address") for each in given], version)
