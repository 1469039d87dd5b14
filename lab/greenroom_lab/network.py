"""The lab's networks: one per environment, isolated from each other, and one for control, which all can reach."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

from . import paths, podman
from .console import run

CONTROL = "control"
CONTROL_ADDRESS = "198.18.30.11"
"""The control host's address. All other addresses come from the inventories."""

DOMAIN = "greenroom.test"
"""Each environment has a subdomain of this domain."""

TABLE = "greenroom_lab"
"""nftables table of the lab on the machine."""

Network = ipaddress.IPv4Network

RANGE = Network("198.18.0.0/15")
"""Benchmark addresses (RFC 2544). An inventory with other addresses is for real hosts; the lab ignores it."""

NARROW = 8
"""Routes with shorter prefixes are a default route in halves or quarters, as VPN clients set it."""


def _network(address: str) -> Network:
    return Network(f"{address}/24", strict=False)


def name(environment: str) -> str | None:
    """Return the network's name in podman, or None if there is no network."""
    return next((file.stem for file in podman.NETWORKS.glob(f"greenroom-{environment}-*.json")), None)


def networks() -> dict[str, Network]:
    """Return the networks that the lab can have, by environment. Runs before a YAML parser is installed."""
    found = {CONTROL: _network(CONTROL_ADDRESS)}
    for file in (file for folder in paths.inventories() for file in sorted(folder.glob("*/hosts.yml"))):
        first = re.search(r"ansible_host:\s*(\d+\.\d+\.\d+\.\d+)", file.read_text())
        if first and Network(first[1]).subnet_of(RANGE):
            found[file.parent.name] = _network(first[1])
    return found


def bridge(environment: str) -> str:
    """Name the network's interface on this machine, in at most 15 characters."""
    return f"greenr-{environment[:8]}"


def ensure(environment: str) -> None:
    """Create an environment's network unless it exists.

    This writes podman's own file format, because its command can't set the interface's name before podman 4.4. The lab
    uses that name to find what a killed run left behind. The network gets a new name each time: podman records used
    addresses by network name, and still has those of containers that it lost when a run was killed.
    """
    if name(environment) is not None:
        return
    _drop_bridge(environment)
    subnet = networks()[environment]
    new = f"greenroom-{environment}-{secrets.token_hex(4)}"
    wanted = {
        "name": new,
        "id": hashlib.sha256(new.encode()).hexdigest(),
        "driver": "bridge",
        "network_interface": bridge(environment),
        "subnets": [{"subnet": str(subnet), "gateway": str(subnet[1])}],
        "ipv6_enabled": False,
        "internal": False,
        "dns_enabled": False,
        "options": {} if environment == CONTROL else {"isolate": "true"},
        "ipam_options": {"driver": "host-local"},
    }
    podman.NETWORKS.mkdir(parents=True, exist_ok=True)
    paths.write(podman.NETWORKS / f"{new}.json", json.dumps(wanted, indent=1))


def _drop_bridge(environment: str) -> None:
    if run(["ip", "link", "show", bridge(environment)], check=False).returncode == 0:
        run(["ip", "link", "delete", bridge(environment)])


def keep_addresses() -> None:
    """Keep source addresses between the environments and control, so that audit logs and allowlists see the real ones.

    Podman translates the source address of packets that leave a network to the bridge's address. A rule that runs
    before podman's maps each address to itself. The first rule wins, with any firewall that podman uses.
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


def remove_one(environment: str) -> None:
    """Remove one environment's network and its interface."""
    if found := name(environment):
        podman.call("network", "rm", "--force", found)
    _drop_bridge(environment)


def remove() -> None:
    """Remove the rules of `keep_addresses`, and the interfaces that podman left behind."""
    for environment in networks():
        _drop_bridge(environment)
    if run(["nft", "list", "table", "ip", TABLE], check=False).returncode == 0:
        run(["nft", "delete", "table", "ip", TABLE])


def overlap() -> str | None:
    """Return one line about an address of the machine that the lab's networks would hide, or None.

    Checks interfaces, routes, name servers, and the addresses of the machine's package mirrors.
    """
    for what, address in [*_interfaces(), *_routes(), *_name_servers(), *_answers()]:
        for net in networks().values():
            if address.overlaps(net):
                return f"{what} ({address}) is in the lab's network {net}. Use a machine or VM where {RANGE} is free."
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
            yield f"A route through {entry.get('dev', 'a gateway')}", target
        if "gateway" in entry:
            yield "The gateway of a route", Network(entry["gateway"])


def _is_lab(interface: str) -> bool:
    """Whether the interface is the bridge of one of the lab's own networks."""
    return interface in map(bridge, networks())


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
            yield f"The address of the Debian mirror {mirror}", Network(str(answer[4][0]))
