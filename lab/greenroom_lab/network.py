"""The lab's networks: one for each environment, shut off from each other; control reaches both, and both reach it."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from . import paths, podman
from .console import run

CONTROL = "control"
CONTROL_ADDRESS = "198.18.30.11"
"""The host outside every environment. All other addresses come from the inventories."""

DOMAIN = "greenroom.test"
"""Environments are names in this domain."""

TABLE = "greenroom_lab"
"""nftables table of the lab on the machine."""

Network = ipaddress.IPv4Network

RANGE = Network("198.18.0.0/15")
"""Benchmark addresses (RFC 2544): an inventory with others is for real hosts, and none of the lab's business."""

NARROW = 8
"""Routes with shorter prefixes are somebody's default route, in halves or quarters."""


def _network(address: str) -> Network:
    return Network(f"{address}/24", strict=False)


def name(environment: str) -> str:
    """Name the network in podman."""
    return f"greenroom-{environment}"


def networks() -> dict[str, Network]:
    """Return the networks that the lab may make, by environment. Needs no YAML parser: it runs before there is one."""
    found = {CONTROL: _network(CONTROL_ADDRESS)}
    for file in sorted((paths.ROOT / "inventories").glob("*/hosts.yml")):
        first = re.search(r"ansible_host:\s*(\d+\.\d+\.\d+\.\d+)", file.read_text())
        if first and Network(first[1]).subnet_of(RANGE):
            found[file.parent.name] = _network(first[1])
    return found


def ensure(environment: str) -> None:
    """Make an environment's network and the exemption from address translation, unless they are there."""
    if not podman.succeeds("network", "exists", name(environment)):
        isolate = [] if environment == CONTROL else ["--opt=isolate=true"]
        subnet = f"--subnet={networks()[environment]}"
        podman.call("network", "create", "--disable-dns", *isolate, subnet, name(environment))


def keep_addresses() -> None:
    """Keep source addresses between the environments and control, so that audits and allow-lists see the real ones.

    Podman translates what leaves a network to the bridge's address. A mapping of each address to itself, made before
    Podman's, settles the connection's translation with any firewall that podman uses.
    """
    found = networks()
    control = found.pop(CONTROL)
    pairs = [(net, control) for net in found.values()] + [(control, net) for net in found.values()]
    rules = "\n".join(
        f"    ip saddr {source} ip daddr {target} snat ip prefix to ip saddr map {{ {source} : {source} }}"
        for source, target in pairs
    )
    table = f"""table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat - 10; policy accept;
{rules}
  }}
}}
"""
    run(["nft", "-f", "-"], stdin=table)


def remove() -> None:
    """Remove the exemption; the networks go with podman's containers."""
    if run(["nft", "list", "table", "ip", TABLE], check=False).returncode == 0:
        run(["nft", "delete", "table", "ip", TABLE])


def overlap() -> str | None:
    """Say in one line what of the machine lies inside the lab's networks and would be cut off, or return None.

    Looks at interfaces, routes, name servers, and at the addresses that names of the machine's package mirrors have.
    """
    for what, address in [*_interfaces(), *_routes(), *_name_servers(), *_answers()]:
        for net in networks().values():
            if address.overlaps(net):
                return f"{what} ({address}) lies in the lab's network {net}. Use a machine or VM where {RANGE} is free."
    return None


def mirrors() -> list[str]:
    """List the names of the machine's Debian mirrors."""
    if not Path("/usr/bin/apt-get").exists():
        return []
    listed = run(["apt-get", "indextargets", "--format", "$(SITE)"], check=False).stdout
    return sorted(set(re.findall(r"^https?://([^/:\s]+)", listed, re.MULTILINE)))


def _interfaces() -> Iterable[tuple[str, Network]]:
    for entry in json.loads(run(["ip", "-json", "-4", "address"]).stdout):
        if _is_lab(entry["ifname"]):
            continue
        for address in entry["addr_info"]:
            net = Network(f"{address['local']}/{address['prefixlen']}", strict=False)
            yield f"The address of interface {entry['ifname']}", net


def _routes() -> Iterable[tuple[str, Network]]:
    for entry in json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout):
        if entry["dst"] == "default" or _is_lab(entry.get("dev", "")):
            continue
        target = Network(entry["dst"])
        if target.prefixlen >= NARROW:
            yield f"A route by {entry.get('dev', 'a gateway')}", target
        if "gateway" in entry:
            yield "The gateway of a route", Network(entry["gateway"])


def _is_lab(interface: str) -> bool:
    """Whether the interface is the bridge of one of the lab's own networks, or a host's end of one."""
    return interface in _bridges()


def _bridges() -> set[str]:
    files = (podman.STORAGE / "networks").glob("greenroom-*.json")
    return {json.loads(file.read_text()).get("network_interface", "") for file in files}


def _name_servers() -> Iterable[tuple[str, Network]]:
    text = Path("/etc/resolv.conf").read_text() if Path("/etc/resolv.conf").exists() else ""
    for address in re.findall(r"^nameserver\s+(\d+\.\d+\.\d+\.\d+)", text, re.MULTILINE):
        yield "A name server of this machine", Network(address)


def _answers() -> Iterable[tuple[str, Network]]:
    for mirror in mirrors():
        try:
            answers = socket.getaddrinfo(mirror, 80, socket.AF_INET, socket.SOCK_STREAM)
        except OSError:
            continue
        for answer in answers:
            yield f"The name server's answer for {mirror}", Network(str(answer[4][0]))
