# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What may leave an environment: the targets of the egress guard, its ports, and what hosts reach without it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...common.names import suggestion
from .networks import merged, networks_of

HTTP, HTTPS = 80, 443
STRIDE = 100
"""Ports of the guard for each port of the targets: one for hosts' own processes, the others for the services."""
HOST = "host"
"""What the guard's log calls hosts' own processes."""
KEYS = ("hosts", "port", "tls", "addresses", "budget", "services", "protocol")
"""Keys of a target."""
PERIODS = ("minute", "day")
VARIABLES = ("egress_targets", "egress_direct")
"""What `problems` judges."""
_NAME = re.compile(r"(\*\.)?([a-z0-9_-]+\.)+[a-z0-9-]+\.?", re.IGNORECASE)
Target = dict[str, Any]


def of_providers(providers: Mapping[str, Mapping[str, Any]], domain: str) -> dict[str, Target]:
    """Return the targets that the environment's providers are, as `egress_targets` has them.

    A provider at an address, or at a name in the environment's `domain`, is not outside.
    """
    found = {}
    for name, provider in providers.items():
        hosts = [str(host) for host in provider.get("hosts") or [provider.get("host", "")] if host]
        outside = [host for host in hosts if not _is_address(host) and not f".{host}".endswith(f".{domain}")]
        if not outside:
            continue
        kind = {"implicit": "tls", "starttls": "tcp"}.get(str(provider.get("tls")))
        kind = kind or ("http" if provider.get("scheme", "http") == "http" else "tcp")
        keys = ("port", "addresses", "budget", "services")
        given = {key: provider[key] for key in keys if provider.get(key)}
        found[name] = {"hosts": outside, "protocol": kind, **given}
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def targets(given: Mapping[str, Mapping[str, Any]]) -> list[Target]:
    """Return the targets with all of their keys, sorted by name.

    `given` = {name: {hosts, port, protocol, addresses, budget: {minute, day}, services}}. `names` are its
    hosts that are one name each, `domains` those of which all names below belong to it (`*.example.org`).
    """
    return [_target(name, value) for name, value in sorted(given.items())]


def _target(name: str, given: Mapping[str, Any]) -> Target:
    protocol = given.get("protocol") or "tls"
    networks = [network for each in given.get("addresses") or () for network in networks_of(str(each), {}, name)]
    allowed = merged(networks, 4)
    budget = given.get("budget") or {}
    hosts = [str(host).lower().rstrip(".") for host in given["hosts"]]
    return {
        "name": name,
        "names": sorted(host for host in hosts if not host.startswith("*.")),
        "domains": sorted(host.removeprefix("*.") for host in hosts if host.startswith("*.")),
        "port": int(given.get("port") or (HTTP if protocol == "http" else HTTPS)),
        "protocol": protocol,
        "addresses": allowed,
        # With a single address, there is nothing to resolve.
        "address": allowed[0].removesuffix("/32") if len(allowed) == 1 and allowed[0].endswith("/32") else "",
        "budget": {period: int(budget[period]) for period in PERIODS if budget.get(period) is not None},
        "services": sorted(given.get("services") or ()),
    }


def listeners(wanted: Sequence[Target], base: int) -> list[dict[str, Any]]:
    """Return the ports that callers connect to, as {port, protocol, targets, base}.

    `base` is the first of the guard's own ports for it. The usual ports of HTTP and HTTPS are always there, so that the
    guard's log names what it refuses.
    """
    kinds = {HTTP: "http", HTTPS: "tls"} | {target["port"]: target["protocol"] for target in wanted}
    return [
        {
            "port": port,
            "protocol": kinds[port],
            "targets": [target for target in wanted if target["port"] == port],
            "base": base + place * STRIDE,
        }
        # A new port comes last, so that the ports of the others stay.
        for place, port in enumerate(sorted(kinds, key=lambda port: (port not in (HTTP, HTTPS), port)))
    ]


def guard_ports(given: Sequence[Mapping[str, Any]], who: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the guard's ports for listeners and callers."""
    return [listener["base"] + caller["place"] for listener in given for caller in who]


def direct(hosts: Iterable[str], servers: Iterable[str], more: Iterable[str]) -> dict[str, list[str]]:
    """Return what hosts and containers reach without the guard, as {ipv4: [network], ipv6: [network]}.

    `hosts` are addresses of the environment's hosts, `servers` are addresses or names of what it uses, such as
    `registry.example.org:5000`, `more` are addresses and networks. What is not an address is left out: it may be a
    name, and `problems` reports a mistake.
    """
    networks = []
    for each in (*hosts, *servers, *more):
        text = str(each)
        for address in (text, text.rpartition(":")[0].strip("[]")):
            try:
                networks.append(ipaddress.ip_network(address, strict=False))
                break
            except ValueError:
                continue
    return {"ipv4": merged(networks, 4), "ipv6": merged(networks, 6)}


def problems(
    given: object, around: object, groups: Mapping[str, Sequence[str]], services: Iterable[str]
) -> Iterator[str]:
    """Yield what is wrong with `egress_targets`, `egress_direct` (`around`) and the group `egress`."""
    guards, edges = groups["egress"], groups.get("edge", ())
    for address in around if isinstance(around, Sequence) and not isinstance(around, str) else ():
        if not _is_network(address):
            yield f"egress_direct: {address!r} is not an address or network"
    if len(guards) > 1:
        yield (
            f"egress: one host, not {len(guards)} ({', '.join(guards)}): only one can count budgets exactly. Take the "
            "others out of the group"
        )
    for host in sorted(set(guards) & set(edges)):
        yield f'egress: {host} is an edge host, too, whose HAProxy would be the guard\'s. Use a host outside "edge"'
    known = set(services)
    valid: list[Target] = []
    for name, value in (given if isinstance(given, Mapping) else {}).items():
        lines = list(_target_problems(f"egress_targets.{name}", value, known))
        yield from lines
        if not lines:
            valid.append(_target(str(name), value))
    yield from _port_problems(valid)


def _target_problems(where: str, value: Any, services: set[str]) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where}: expected a mapping with hosts, port and so on"
        return
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", where.rpartition(".")[2]):
        yield f"{where}: a target's name has lower-case letters, digits and dashes"
    for key in value:
        if key not in KEYS:
            yield f"{where}.{key}: unknown key{suggestion(str(key), KEYS)}; known are {', '.join(KEYS)}"
    yield from _host_problems(where, value.get("hosts"))
    if not _whole(value.get("port", HTTPS)) or not 0 < int(value.get("port", HTTPS)) < 65536:
        yield f"{where}.port: expected a number from 1 to 65535"
    if value.get("protocol", "tls") not in ("tls", "http", "tcp"):
        yield f"{where}.protocol: expected tls, http or tcp"
    for address in value.get("addresses") or ():
        if not _is_network(address):
            yield f"{where}.addresses: {address!r} is not an address or network"
    yield from _budget_problems(f"{where}.budget", value.get("budget") or {})
    for service in value.get("services") or ():
        if service not in services:
            yield f"{where}.services: unknown service {service}{suggestion(str(service), services)}"


def _budget_problems(where: str, budget: Mapping[str, object]) -> Iterator[str]:
    for period, number in budget.items():
        if period not in PERIODS:
            yield f"{where}.{period}: unknown key; known are {', '.join(PERIODS)}"
        elif not _whole(number):
            yield f"{where}.{period}: expected a number of calls, 0 or more"


def _whole(number: object) -> bool:
    return not isinstance(number, bool) and str(number).isascii() and str(number).isdecimal()


def _host_problems(where: str, hosts: object) -> Iterator[str]:
    if not isinstance(hosts, Sequence) or isinstance(hosts, str) or not hosts:
        yield f"{where}.hosts: expected a list of names, such as api.example.org"
        return
    for host in hosts:
        if not _NAME.fullmatch(str(host)) or _is_address(str(host)):
            yield f"{where}.hosts: {host} is not a name; expected one such as api.example.org or *.example.org"


def _is_network(text: object) -> bool:
    try:
        ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return False
    return True


def _port_problems(wanted: Sequence[Target]) -> Iterator[str]:
    """Yield which targets the guard could not tell apart."""
    for listener in listeners(wanted, 0):
        names = ", ".join(target["name"] for target in listener["targets"])
        if len({target["protocol"] for target in listener["targets"]}) > 1:
            yield f"egress_targets: {names} have port {listener['port']}, but not the same protocol"
        elif listener["protocol"] == "tcp" and len(listener["targets"]) > 1:
            yield (
                f"egress_targets: {names} have port {listener['port']}, which carries no name, so the guard can't tell "
                "them apart; only one target may have it"
            )
        hosts = [host for target in listener["targets"] for host in target["names"] + target["domains"]]
        if len(set(hosts)) < len(hosts):
            yield f"egress_targets: {names}: several of them have the same host and port {listener['port']}"
