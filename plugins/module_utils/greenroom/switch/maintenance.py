# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Maintenance of services, or of all of them, on an edge host: one map, on disk and in each HAProxy worker.

A value is the time in seconds after which visitors should come back, or `off`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..common import durable
from . import haproxy

EVERYTHING = "*"
"""The key for all services; no service has this name."""
OFF = "off"


@dataclass(frozen=True)
class Maps:
    """Where the map is, and how to reach HAProxy; a request to it may take `seconds`."""

    map_file: str
    runtime_socket: str
    master_socket: str
    seconds: float = 5.0


def read(map_file: str) -> dict[str, str]:
    """Return what is in maintenance on disk, {service: seconds}; raises OSError."""
    try:
        with open(map_file, encoding="utf-8") as file:
            entries = [line.split() for line in file if line.strip() and not line.startswith("#")]
    except FileNotFoundError:
        return {}
    return {entry[0]: entry[1] for entry in entries if len(entry) == 2 and entry[1] != OFF}


def wanted(now: Mapping[str, str], service: str, on: bool, back_seconds: int) -> dict[str, str]:
    """Return what is in maintenance after a change. Without `on`, EVERYTHING ends that of each service, too."""
    if on:
        return {**now, service: str(back_seconds)}
    return {} if service == EVERYTHING else {name: value for name, value in now.items() if name != service}


def apply(maps: Maps, target: Mapping[str, str], check: bool = False) -> bool:
    """Put `target` in effect on disk and in all workers; returns whether that is a change. Raises OSError, SocketError.

    First on disk, so that a worker that starts meanwhile has it.
    """
    own = read(maps.map_file)
    changed = own != dict(target)
    if changed and not check:
        durable.write(maps.map_file, shown(target).encode())
    for worker in haproxy.workers(maps.runtime_socket, maps.master_socket, maps.seconds):
        for service in sorted({EVERYTHING, *own, *target}):
            value = target.get(service, OFF)
            try:
                found = haproxy.read(worker, maps.map_file, service, maps.seconds)
                if (found or OFF) == value:
                    continue
                changed = True
                if not check:
                    haproxy.put(worker, maps.map_file, service, value, maps.seconds, found=found)
            except haproxy.NobodyThereError:
                break  # it has ended
            except haproxy.UnknownMapError:
                if worker.old:
                    break  # it is from before the map
                raise
    return changed


def shown(services: Mapping[str, str]) -> str:
    """Return what is in maintenance, as the lines of the map."""
    return "".join(f"{service} {value}\n" for service, value in sorted(services.items()))
