# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""How a host is connected: name servers, names, ports that are open, and the firewall's rules."""

from __future__ import annotations

import glob
import os
import re
import socket
from collections.abc import Sequence

from .reading import Items, Unread, UnreadError, has, needs_root, output, text

# What they open is compared with the containers.
_OF_CONTAINERS = ("aardvark-dns", "conmon", "docker-proxy", "rootlessport")


def network(names: Sequence[str]) -> Items:
    """Yield name servers, search domains, the MTU of each kind of interface, and the addresses of `names`."""
    resolver = text("/etc/resolv.conf")
    yield "name servers", re.findall(r"^nameserver\s+(\S+)", resolver, re.MULTILINE)
    yield "search domains", re.findall(r"^(?:search|domain)\s+(.+)$", resolver, re.MULTILINE)
    yield "resolver options", sorted(" ".join(re.findall(r"^options\s+(.+)$", resolver, re.MULTILINE)).split())
    for path in glob.glob("/sys/class/net/*/mtu"):
        name = path.split("/")[4]
        # Interfaces of containers come and go.
        if not name.startswith(("veth", "podman", "docker", "br-")):
            yield f"MTU of {re.sub(r'[0-9]+.*', '', name)}", text(path).strip()
    for name in names:
        yield f"address of {name}", _addresses(name)


def _addresses(name: str) -> list[str] | Unread:
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None)})
    except OSError as error:
        if getattr(error, "errno", None) == socket.EAI_NONAME:
            return []
        return Unread(f"{name}: {error}")


def ports() -> Items:
    """Yield the program that listens, by protocol, address and port. Ports that the kernel chose are left out."""
    if not has("ss"):
        raise UnreadError("ss is not installed (package iproute2)")
    low, high = (int(part) for part in text("/proc/sys/net/ipv4/ip_local_port_range").split())
    for line in output("ss", "-H", "-l", "-n", "-t", "-u", "-p").splitlines():
        protocol, _state, _received, _sent, address, _peer, *process = line.split(None, 6)
        port = address.rpartition(":")[2]
        if not port.isdigit() or low <= int(port) <= high:
            continue
        program = re.search(r'"([^"]+)"', process[0]) if process else None
        if program and program[1] in _OF_CONTAINERS:
            continue
        address = re.sub(r"%\w+", "", address)
        yield f"{protocol} {address}", program[1] if program else Unread("only root sees the program")


def firewall() -> Items:
    """Yield each chain's rules and each set's elements, without counters and handles."""
    if not has("nft"):
        return
    needs_root()
    table = name = ""
    lines: list[str] = []
    for line in output("nft", "--stateless", "list", "ruleset").splitlines():
        said = line.strip()
        if said.startswith("table ") and said.endswith("{"):
            table = said.removeprefix("table ").rstrip(" {")
        elif re.match(r"\t(chain|set|map|flowtable|limit|quota|counter) ", line) and said.endswith("{"):
            name, lines = said.rstrip(" {"), []
        elif line == "\t}":
            # Podman makes it from numbers of its networks; the ports of containers are compared with them.
            if not table.endswith(" netavark"):
                yield f"{table} {name}", _elements(lines)
        elif said not in ("", "}"):
            lines.append(re.sub(r" # handle \d+$", "", said))


def _elements(lines: Sequence[str]) -> list[str]:
    """Sort the elements of a set, which nft may print over several lines; the order of rules stays."""
    joined = " ".join(lines)
    found = re.search(r"elements = \{(.*)\}", joined)
    if not found:
        return list(lines)
    elements = sorted(re.sub(r" expires \S+", "", one.strip()) for one in found[1].split(","))
    return [*(line for line in lines[:1] if "elements" not in line), *elements]


def mounts() -> Items:
    """Yield type and options of each file system on a disk or a server, by its place."""
    for line in text("/proc/self/mounts").splitlines():
        source, place, kind, options = line.split()[:4]
        if (source.startswith("/dev/") or kind.startswith(("nfs", "cifs"))) and os.path.isdir(place):
            words = sorted(word for word in options.split(",") if word not in ("relatime", "seclabel"))
            yield place, {"type": kind, "options": words}
