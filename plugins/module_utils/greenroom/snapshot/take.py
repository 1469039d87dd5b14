# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A snapshot of a host: all its parts, each with what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import (
    accounts,
    broker,
    certificates,
    containers,
    files,
    keys,
    monitoring,
    network,
    packages,
    postgres,
    slots,
    system,
    units,
)
from .reading import ALL, Items, Options, Unread, UnreadError, has, is_root

Part = dict[str, dict[str, Any]]
"""{items: {name: value}, unread: {name, or `*` for the rest of the part: reason}}."""


def _containers() -> Items:
    if has("podman"):
        yield from containers.containers()
    elif has("docker"):
        yield from containers.containers("docker")


def _keys(options: Options) -> Items:
    yield from keys.host_keys()
    yield from accounts.authorized_keys()
    yield from certificates.certificate_keys(options.certificates)


PARTS: dict[str, Callable[[Options], Items]] = {
    "slots": lambda _options: slots.slots(),
    "system": lambda _options: system.system(),
    "kernel": lambda _options: system.kernel(),
    "size": lambda _options: system.size(),
    "packages": lambda _options: packages.packages(),
    "accounts": lambda _options: accounts.accounts(),
    "rights": lambda _options: accounts.rights(),
    "ssh": lambda _options: accounts.ssh(),
    "network": lambda options: network.network(options.names),
    "ports": lambda _options: network.ports(),
    "firewall": lambda _options: network.firewall(),
    "mounts": lambda _options: network.mounts(),
    "units": lambda _options: units.units(),
    "processes": lambda _options: units.processes(),
    "files": lambda options: files.files(options.files),
    "containers": lambda _options: _containers(),
    "certificates": lambda options: certificates.certificates(options.certificates),
    "postgres": lambda _options: postgres.postgres(),
    "broker": lambda _options: broker.broker(),
    "monitoring": lambda options: monitoring.monitoring(options.prometheus, options.alertmanager),
    "keys": _keys,
}
"""{part: what reads it}. A part without items is one that the host doesn't have."""


def take(options: Options) -> dict[str, Any]:
    """Return {parts: {name: Part}, root, clock}. No part keeps another one from being read."""
    parts = {name: _part(read, options) for name, read in PARTS.items()}
    return {"parts": parts, "root": is_root(), "clock": system.clock()}


def _part(read: Callable[[Options], Items], options: Options) -> Part:
    items: dict[str, Any] = {}
    unread: dict[str, str] = {}
    try:
        for name, value in read(options):
            if isinstance(value, Unread):
                unread[name] = value.reason
            elif isinstance(value, Mapping):
                items[name] = {key: inner for key, inner in value.items() if not isinstance(inner, Unread)}
                unread |= {f"{name}: {key}": inner.reason for key, inner in value.items() if isinstance(inner, Unread)}
            else:
                items[name] = value
    except UnreadError as error:
        unread[ALL] = str(error)
    # A host that nobody here built may have anything in its files. What was read so far is still true.
    except (OSError, ValueError, KeyError, IndexError, AttributeError, TypeError, StopIteration) as error:
        unread[ALL] = f"{type(error).__name__}: {error}"
    return {"items": items, "unread": unread}
