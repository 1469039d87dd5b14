# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What hosts get from the catalogue and the inventory: key files, firewall rules, scrape targets, database clients."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SLOTS = ("blue", "green")
# The group whose hosts scrape metrics.
SCRAPERS = "ops"
# Roles of people who may do nothing but forward the ports of admin pages.
FORWARDERS = ("viewer", "tester")


def key_files(accounts: Iterable[Mapping[str, Any]], has_pages: bool) -> list[dict[str, str]]:
    """Return one `template_tree` file for each account: its SSH keys, where sshd looks for them.

    Who may see admin pages only has keys where there are some (`has_pages`).
    """
    return [
        {
            "dest": f"/etc/ssh/authorized_keys.d/{account['name']}",
            "content": "".join(f"{key}\n" for key in account["ssh_keys"]),
        }
        for account in accounts
        if has_pages or account["role"] not in FORWARDERS
    ]


def roles_of_host(
    roles: Mapping[str, Sequence[str]], groups: Mapping[str, Sequence[str]], host: str, only: Sequence[str] = ()
) -> list[str]:
    """Return the roles that `roles`, {group: [role]}, gives to a host, each once, in that order.

    `ops[0]` is the first host of the group `ops`. Where `only` names some, the others are left out.
    """
    found: dict[str, None] = {}
    for place, names in roles.items():
        group, first, _rest = place.partition("[0]")
        members = groups.get(group, [])
        if host in (members[:1] if first else members):
            found.update(dict.fromkeys(names))
    return [role for role in found if not only or role in only]


def _networks(source: str, addresses: Mapping[str, Sequence[str]], rule: str) -> list[Network]:
    """Return the networks of `source`: a group's name, or an address or network.

    Raises ValueError, naming `rule`, for anything else.
    """
    if source not in addresses:
        known = ", ".join(sorted(addresses))
        return [_network(source, f"{rule}: {source!r} is neither an address nor a group (groups: {known})")]
    help_line = "is not an address; set environment_address for its host"
    return [_network(address, f"{rule}: {address!r} in group {source} {help_line}") for address in addresses[source]]


def _network(address: str, complaint: str) -> Network:
    try:
        return ipaddress.ip_network(address, strict=False)
    except ValueError:
        raise ValueError(complaint) from None


def _collapsed(networks: Iterable[Network], version: int) -> list[str]:
    """Return the networks of one IP version, merged where they touch: nftables refuses overlaps in a set."""
    own = [network for network in networks if network.version == version]
    return [str(network) for network in ipaddress.collapse_addresses(own)]  # type: ignore[type-var]


def _everywhere(
    catalogue: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]] | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (name, service) of the catalogue and of each slot's bundle: what is to be, and what there still is."""
    for services in [catalogue, *(bundle["services"] for bundle in (bundles or {}).values())]:
        yield from services.items()


def service_ports(
    catalogue: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Return the published ports as {name, ports, groups, from}: the catalogue's, and those that a slot still has.

    `bundles` = {slot: description of its bundle}. Of the catalogue's ports both slots' are in one entry. Metrics are
    for the hosts that scrape, too, unless their port never leaves the host.
    """
    found: dict[tuple[str, str, tuple[str, ...]], set[int]] = {}
    for name, service in _everywhere(catalogue, bundles):
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
    """Return what one host lets in, as {name, protocol, ports, ipv4: [network], ipv6: [network]}.

    `ports` are {name, ports: [int], groups: [where], from: [group, address or network]}, or with `protocol` (else tcp)
    in the place of `ports`. `own_groups` are the host's, `addresses` = {group: [address]}. A host's own containers
    count as the host: their packets to it carry an address from `container_networks`. Raises ValueError for a source
    that is neither a group nor an address.
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
        networks = [network for source in sources for network in _networks(str(source), addresses, port["name"])]
        kind = {"protocol": protocol, "ports": list(port.get("ports", []))}
        rule = {"ipv4": _collapsed(networks, 4), "ipv6": _collapsed(networks, 6)}
        if networks:
            rules.append({"name": port["name"], **kind, **rule})
    return rules


def source_networks(sources: Iterable[str], addresses: Mapping[str, Sequence[str]], purpose: str) -> list[str]:
    """Return the networks of `sources` (groups, addresses, networks), `addresses` = {group: [address]}.

    Raises ValueError, naming `purpose`, for a source that is neither.
    """
    return [str(network) for source in sources for network in _networks(str(source), addresses, purpose)]


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
    if found not in _network(network, f"environment_network: {network!r} is not a network"):
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


def scrape_targets(
    catalogue: Mapping[str, Any],
    hosts: Mapping[str, Mapping[str, str]],
    bundles: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Return Prometheus' file-based targets of all services that offer metrics: one for each host and slot.

    `hosts` = {group: {host: address}}. A singleton runs on its group's first host only. `bundles` = {slot: description
    of its bundle}: a slot that has one has the services and ports in it, another one the catalogue's.
    """
    described = bundles or {}
    targets = []
    for slot in SLOTS:
        for name, service in (described[slot]["services"] if slot in described else catalogue).items():
            port = service["ports"].get(service["metrics"]["port"]) if service["metrics"] else None
            if port is None or port["bind"] == "127.0.0.1":
                continue
            members = list(hosts.get(service["group"], {}).items())
            for host, address in members[:1] if service["activation"] == "singleton" else members:
                path = service["metrics"]["path"]
                labels = {"service": name, "slot": slot, "host": host, "__metrics_path__": path}
                targets.append({"targets": [f"{address}:{port['host'][slot]}"], "labels": labels})
    return sorted(targets, key=lambda target: [target["labels"][key] for key in ("service", "host", "slot")])


def databases(catalogue: Mapping[str, Any]) -> list[str]:
    """Return the names of all databases of the catalogue, sorted."""
    return sorted({service["database"] for service in catalogue.values() if service["database"]})


def database_clients(
    catalogue: Mapping[str, Any],
    addresses: Mapping[str, Sequence[str]],
    own_groups: Iterable[str] = (),
    container_networks: Sequence[str] = (),
    bundles: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, str]]:
    """Return who may connect to which database, as {database, address}: the hosts of services that have a login for it.

    `addresses` = {group: [address]}. Where the database's own host is among them, its containers' networks are, too.
    Services are those of the catalogue and those that a slot still has; `bundles` = {slot: description of its bundle}.
    """
    own = set(own_groups)
    clients: set[tuple[str, str]] = set()
    for _name, service in _everywhere(catalogue, bundles):
        sources = list(addresses.get(service["group"], []))
        if service["group"] in own:
            sources += container_networks
        for secret in service["secrets"].values():
            if secret["kind"] == "login":
                for source in sources:
                    clients.add((secret["name"], str(ipaddress.ip_network(source, strict=False))))
    return [{"database": database, "address": address} for database, address in sorted(clients)]
