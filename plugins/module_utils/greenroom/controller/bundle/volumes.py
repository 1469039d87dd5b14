# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The volumes of slots on a host: their folders and mounts, what a deploy copies, and what it must refuse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...switch.bluegreen import SLOTS
from ..catalogue.volumes import VOLUMES_FOLDER, folder_of, owned, volume_name
from .activation import first_host
from .description import Description, Groups, Service
from .units import slot_services, unit_name

Nfs = Mapping[str, str]
Volume = Mapping[str, Any]


def required(service: Service, slot: str, nfs: Nfs) -> list[str]:
    """Return the folders on NFS that must be mounted before a service's container starts."""
    return [
        folder_of(volume, name, slot)
        for name, volume in sorted(service.get("volumes", {}).items())
        if volume_name(volume["owner"], name) in nfs
    ]


def _uses(
    services: Iterable[Service], bundles: Mapping[str, Description], host: str, groups: Groups
) -> Iterator[tuple[str, str, Volume, str]]:
    """Yield (service, volume, its value, slot) for all volumes that either slot or the catalog has on a host."""
    for slot in SLOTS:
        own = slot_services(bundles[slot], host, groups) if slot in bundles else []
        # The catalog's last: it is what the next bundle has.
        for service in (*own, *services):
            for _, _, name, volume in owned({service["name"]: service}):
                yield service["name"], name, volume, slot


def folders(
    services: Iterable[Service], bundles: Mapping[str, Description], host: str, groups: Groups, nfs: Nfs
) -> list[dict[str, str]]:
    """Return the folders of a host's volumes for `template_tree`, with the user that owns them.

    `services` are those of the catalog on this host. An NFS server decides itself who owns its files.
    """
    found = {
        folder_of(volume, name, slot): volume
        for service, name, volume, slot in _uses(list(services), bundles, host, groups)
        if volume_name(service, name) not in nfs
    }
    owners = [
        {"path": path, "owner": str(volume["user"]), "group": str(volume["user"]), "mode": "0700"}
        for path, volume in sorted(found.items())
    ]
    return [{"path": VOLUMES_FOLDER, "mode": "0700"}, *owners]


def nfs_mounts(
    services: Iterable[Service], bundles: Mapping[str, Description], host: str, groups: Groups, nfs: Nfs
) -> dict[str, str]:
    """Return {folder: <server>:<path>} for the volumes of a host that are on NFS."""
    return {
        folder_of(volume, name, slot): nfs[volume_name(service, name)]
        for service, name, volume, slot in _uses(list(services), bundles, host, groups)
        if volume_name(service, name) in nfs
    }


def copies(services: Iterable[Service], slot: str, live: Description | None) -> list[list[str]]:
    """Return what a deploy to `slot` copies from the live slot on a host, as [from, to, user, mode].

    A volume per slot begins as a copy of the live slot's: mode `replace`. So does one that the live slot has for itself
    and the next one shares; what an earlier deploy left there may be users' files: mode `keep`.
    """
    if not live:
        return []
    found = []
    before = live["services"]
    for service, _, name, volume in owned({service["name"]: service for service in services}):
        old = before.get(service, {}).get("volumes", {}).get(name)
        if old is None or old["owner"] != service:
            continue
        source, target = folder_of(old, name, live["slot"]), folder_of(volume, name, slot)
        if source != target:
            mode = "replace" if volume["shared"] == "per_slot" else "keep"
            found.append([source, target, str(volume["user"]), mode])
    return found


def copy_users(services: Iterable[Service], slot: str, live: Description | None) -> list[str]:
    """Return the units on a host that have a folder open which a deploy to `slot` replaces: they must start again."""
    own = list(services)
    replaced = {target for _, target, _, _ in copies(own, slot, live)}
    return [
        unit_name(service["name"], slot)
        for service in own
        if replaced & {folder_of(volume, name, slot) for name, volume in service.get("volumes", {}).items()}
    ]


def objections(catalogue: Mapping[str, Service], live: Description | None, groups: Groups, nfs: Nfs) -> list[str]:
    """Return why the files of the live slot don't fit the catalog: a deploy would take them away from one of both."""
    found = []
    before: Mapping[str, Any] = (live or {}).get("services", {})
    for service, value, name, volume in owned(catalogue):
        old = before.get(service, {}).get("volumes", {}).get(name)
        if old is None or old["owner"] != service:
            continue
        if volume["shared"] == old["shared"] == "slots" and volume["user"] != old["user"]:
            found.append(
                f"{service}: volumes.{name} belongs to user {old['user']}, and the live slot still writes there; "
                f"keep `user: {old['user']}`"
            )
        if (
            "singleton" == value["activation"] == before[service]["activation"]
            and volume_name(service, name) not in nfs
        ):
            there = first_host(live or {}, before[service], groups)
            here = next(iter(groups.get(value["group"], [])), None)
            if there != here:
                found.append(
                    f"{service}: volumes.{name} is on {there}, but the service would run on {here}, the first host of "
                    f'"{value["group"]}"; keep {there} first in the inventory, or restore a backup on {here} first '
                    "(docs/volumes.md)"
                )
    for name, value in sorted(catalogue.items()):
        old = before.get(name)
        if value["activation"] != "singleton" or old is None:
            continue
        follows = old["activation"] == "singleton" and bool(old["routes"]) == bool(value["routes"])
        if (value["routes"] or (value["volumes"] and old["activation"] == "always")) and not follows:
            without = "" if old["routes"] else " without routes"
            found.append(
                f"{name}: the live slot has it as `{old['activation']}`{without}, so "
                "two instances could run at once, or none could be checked; remove the service, deploy and cut over, "
                "then add it again"
            )
    return found


def backed_up(catalogue: Mapping[str, Service], groups: Groups, addresses: Mapping[str, str], nfs: Nfs) -> list[str]:
    """Return what the nightly backup reads, as `<service>/<folder>@<host>=<address>`.

    `addresses` = {host: address}. Volumes that all hosts share, and those of a singleton, are read on one host.
    """
    found = []
    for service, value, name, volume in owned(catalogue):
        hosts: Sequence[str] = groups.get(value["group"], [])
        if value["activation"] == "singleton" or volume_name(service, name) in nfs:
            hosts = hosts[:1]
        slots = SLOTS if volume["shared"] == "per_slot" else SLOTS[:1]
        parts = [folder_of(volume, name, slot).removeprefix(f"{VOLUMES_FOLDER}/") for slot in slots]
        found += [f"{part}@{host}={addresses[host]}" for host in hosts for part in parts]
    return found


def singletons(catalogue: Mapping[str, Service], folder: str) -> list[str]:
    """Return the units of singletons that have a folder, <service>/<folder>, in either slot."""
    return [
        unit_name(service["name"], slot)
        for service in catalogue.values()
        for name, volume in service["volumes"].items()
        for slot in SLOTS
        if service["activation"] == "singleton" and folder_of(volume, name, slot) == f"{VOLUMES_FOLDER}/{folder}"
    ]


def wanted(catalogue: Mapping[str, Service], bundles: Mapping[str, Description]) -> bool:
    """Tell whether the catalog or a slot has volumes."""
    return has_volumes(catalogue) or any(has_volumes(bundle["services"]) for bundle in bundles.values())


def has_volumes(services: Mapping[str, Service]) -> bool:
    """Tell whether one of the services has a volume."""
    return any(True for _ in owned(services))


def _mount_unit(folder: str) -> str:
    """Return the name of the systemd unit that mounts something at a folder."""
    return folder.strip("/").replace("-", r"\x2d").replace("/", "-") + ".mount"


def mount_files(places: Mapping[str, str], options: str) -> list[dict[str, str]]:
    """Return the units that mount folders from NFS; `places` = {folder: <server>:<path>}."""
    return [
        {
            "dest": f"/etc/systemd/system/{_mount_unit(folder)}",
            "content": f"[Unit]\nDescription=Files of services in {folder}\n\n"
            f"[Mount]\nWhat={place}\nWhere={folder}\nType=nfs\nOptions={options}\nTimeoutSec=60\n\n"
            "[Install]\nWantedBy=remote-fs.target\n",
        }
        for folder, place in sorted(places.items())
    ]


def mount_units(places: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the same units for `template_tree`. A new place counts from the next boot on: containers use the old."""
    return [
        {"name": _mount_unit(folder), "enabled": True, "on_change": "none", "files": []} for folder in sorted(places)
    ]
