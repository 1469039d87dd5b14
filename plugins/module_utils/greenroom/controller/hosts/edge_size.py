# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""How large the edge is: what HAProxy needs for its connections and servers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from math import ceil
from typing import Any

from ...switch.bluegreen import SLOTS

# HAProxy's own: listeners, pipes and sockets of its threads, logs.
SPARE_FILES = 1024
# Another limit restarts HAProxy. In steps, a new service seldom leads to another one.
STEP_FILES = 16384
# In KB, measured with HAProxy 3.0: a process, a server with its check, a TLS connection with a request.
PROCESS, SERVER, CONNECTION = 16384, 6, 64
# The master and the worker, besides old workers. Connections are in one of them each.
PROCESSES = 2
# How many of the connections are for the frontend `public`, and for other hosts.
PUBLIC, PEERS = 8 / 10, 1 / 20
_MEMORY = re.compile(r"^MemTotal:\s+(\d+) kB", re.M)
_FILES = re.compile(r"^Max open files\s+\d+\s+(\d+|unlimited)", re.M)

Members = Mapping[str, Collection[str]]
Bundles = Mapping[str, Mapping[str, Any]]


def connections(maxconn: int, proxied: object, tcp_ports: int = 0) -> int:
    """Return the connections of the whole process; those that begin with a PROXY header (`proxied`) count twice.

    Each port with TCP routes has a tenth of `maxconn` in addition.
    """
    return int(maxconn) + (int(int(maxconn) * PUBLIC) if proxied else 0) + tcp_ports * (int(maxconn) // 10)


def connections_with(value: Callable[[str], Any], catalogue: Mapping[str, Any]) -> int:
    """Return `connections` of a catalog; `value` returns a variable of the role edge."""
    listening = {route["listen"] for service in catalogue.values() for route in service["tcp_routes"]}
    return connections(value("edge_maxconn"), value("edge_proxy_sources"), len(listening))


def places(catalogue: Mapping[str, Any], members: Members, bundles: Bundles | None = None) -> tuple[int, int]:
    """Return the numbers of backends and of servers of both slots.

    `members` = {group: its hosts}, `bundles` = {slot: description of its bundle}. A slot gets the catalog's services
    with the next deploy.
    """
    next_one = _places(catalogue, members)
    each = [max(next_one, _described((bundles or {}).get(slot))) for slot in SLOTS]
    return sum(backends for backends, _servers in each), sum(servers for _backends, servers in each)


def _described(bundle: Mapping[str, Any] | None) -> tuple[int, int]:
    return _places(bundle["services"], bundle["hosts"]) if bundle else (0, 0)


def _places(services: Mapping[str, Any], members: Members) -> tuple[int, int]:
    routed = {
        (name, route["port"]): service["group"]
        for name, service in services.items()
        for route in (*service["routes"], *service.get("tcp_routes", ()))
    }
    return len(routed), sum(len(members.get(group, ())) for group in routed.values())


def files_needed(catalogue: Mapping[str, Any], members: Members, bundles: Bundles | None, process: int) -> int:
    """Return how many files HAProxy opens at most with `process` connections; for the others see `places`."""
    return 2 * process + sum(places(catalogue, members, bundles)) + SPARE_FILES


def open_files(catalogue: Mapping[str, Any], members: Members, bundles: Bundles | None, process: int) -> int:
    """Return the limit of HAProxy's open files: `files_needed`, rounded up."""
    return STEP_FILES * ceil(files_needed(catalogue, members, bundles, process) / STEP_FILES)


def memory_needed(catalogue: Mapping[str, Any], members: Members, process: int, old: int) -> int:
    """Return how much memory HAProxy needs with `process` connections and `old` workers of before reloads, in MB.

    Each of them knows all servers.
    """
    _backends, servers = places(catalogue, members)
    return ceil((PROCESSES * PROCESS + (PROCESSES + old) * servers * SERVER + process * CONNECTION) / 1024)


def too_small(texts: Mapping[str, str], files: int, memory: int) -> list[str]:
    """Return why edge hosts are too small, one line each, from {host: its /proc/meminfo and /proc/1/limits}.

    `files` and `memory` (in MB) are what HAProxy needs. Other text may be around the files.
    """
    found = []
    for host, text in texts.items():
        allowed, has = _FILES.search(text), _MEMORY.search(text)
        if allowed and allowed[1] != "unlimited" and int(allowed[1]) < files:
            found.append(f"{host} allows a service {allowed[1]} open files, and HAProxy gets {files} (edge_open_files)")
        if has and int(has[1]) // 1024 < memory:
            found.append(f"{host} has {int(has[1]) // 1024} MB of memory, and HAProxy may need {memory} MB")
    return found


def size_problems(maxconn: int, files: int, needed: int, askers: int) -> Iterator[str]:
    """Yield what is wrong with `edge_maxconn` and `edge_open_files` (`files`), of which `needed` are needed.

    `askers` are the edge and app hosts, which ask each edge host which slot is live.
    """
    if maxconn * PEERS < askers:
        yield (
            f"edge_maxconn: {maxconn} leaves too few connections for {askers} edge and app hosts, which ask each edge "
            f"host which slot is live; set {ceil(askers / PEERS)} or more"
        )
    if files < needed:
        yield f"edge_open_files: {files} is too few for this catalog; remove it, or set {needed} or more"
