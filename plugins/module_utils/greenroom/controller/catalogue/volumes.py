# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Volumes: folders of an app host in which services keep files across deploys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# All volumes of an app host: <service>/<volume>, and for `per_slot` <service>/<volume>.<slot>.
VOLUMES_FOLDER = "/var/lib/greenroom/volumes"
# How a volume is shared: by both slots of a host, or by the containers of one slot only.
SHARED = ("slots", "per_slot")


def volumes_of(raw: object, service: str, user: object) -> dict[str, dict[str, Any]]:
    """Return the volumes of a service with all defaults filled in; invalid ones are incomplete.

    `raw` is the value of `volumes` in service.yml, `user` the service's user. The result is {volume: {path, shared,
    owner, read_only, per_host, user}}; `owner` is the service that the volume belongs to. Only those that commands may
    use beside a singleton have the key `commands`, so that others keep their bundles.
    """
    found = raw if isinstance(raw, Mapping) else {}
    return {
        name: {
            "path": volume.get("path"),
            "shared": volume.get("shared", SHARED[0]),
            "owner": volume.get("of") or service,
            "read_only": volume.get("read_only") is True,
            "per_host": volume.get("per_host") is True,
            "user": user,
            **({"commands": True} if volume.get("commands") is True else {}),
        }
        for name, volume in ((name, value if isinstance(value, Mapping) else {}) for name, value in found.items())
    }


def lender(raw: object) -> str:
    """Return the service whose volumes another one uses, "" if it uses only its own; `raw` is as in `volumes_of`."""
    values = raw.values() if isinstance(raw, Mapping) else ()
    return next((str(value["of"]) for value in values if isinstance(value, Mapping) and value.get("of")), "")


def owned(services: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any], str, Mapping[str, Any]]]:
    """Yield (service, its value, volume, its value) for each volume, at the service that it belongs to.

    Bundles of earlier versions have no volumes.
    """
    for service, value in sorted(services.items()):
        for name, volume in sorted(value.get("volumes", {}).items()):
            if volume["owner"] == service:
                yield service, value, name, volume


def volume_name(owner: str, name: str) -> str:
    """Return how operators name a volume: <service>/<volume>."""
    return f"{owner}/{name}"


def folder_of(volume: Mapping[str, Any], name: str, slot: str) -> str:
    """Return the folder of a volume on its host, as containers of `slot` see it."""
    own = f".{slot}" if volume["shared"] == "per_slot" else ""
    return f"{VOLUMES_FOLDER}/{volume_name(volume['owner'], name)}{own}"


def mounts(service: Mapping[str, Any], slot: str) -> list[str]:
    """Return the mounts of a service's volumes, as `source:destination:options`."""
    return [
        f"{folder_of(volume, name, slot)}:{volume['path']}:{'ro' if volume['read_only'] else 'rw'},nodev,nosuid"
        for name, volume in sorted(service.get("volumes", {}).items())
    ]
