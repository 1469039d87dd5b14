# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What the volumes of services may be, beyond their schema. A problem is a line, or (service, line)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ...common.exclusive_files import exclusive
from ...common.names import suggestion
from .volumes import owned, volume_name

Service = Mapping[str, Any]
Catalogue = Mapping[str, Service]

# Folders of the container that a volume would hide or break: with what is in them, or as a whole.
_CLOSED = ("/dev", "/proc", "/run", "/sys", "/tmp", "/etc/greenroom")
_WHOLE = ("/", "/bin", "/etc", "/lib", "/lib64", "/sbin", "/usr")
# An export of an NFS server. systemd reads it, and gives other characters a meaning.
_EXPORT = re.compile(r"^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):/[A-Za-z0-9_./-]*\Z")
# Commands that run while the live instance of a service does.
_BESIDE = ("migrate", "prepare", "seed")
# The same, but of some programs they may: `commands: true`.
_COMMANDS = ("schedule", "hooks", "console")


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def volume_problems(service: Service, catalogue: Catalogue, wrong: Collection[str] = ()) -> Iterator[str]:
    """Yield the problems of a service's volumes; `wrong` are services that are missing because they are invalid."""
    paths: dict[str, str] = {}
    for name, volume in service["volumes"].items():
        path = volume["path"]
        if posixpath.normpath(path) != path:
            yield f'volumes.{name}.path: write "{posixpath.normpath(path)}" instead of "{path}"'
        elif path in _WHOLE or any(_below(path, folder) for folder in _CLOSED):
            yield f'volumes.{name}.path: "{path}" belongs to the container itself; choose another path'
        elif service["config_path"] and _below(path, service["config_path"]):
            yield f"volumes.{name}.path: `config_path` ({service['config_path']}) is read-only; choose another path"
        elif paths.setdefault(path, name) != name:
            yield f'volumes.{name}.path: "{path}" is the path of {paths[path]}; choose another path'
        elif path in service["writable"]:
            yield f'volumes.{name}.path: "{path}" is also in `writable`; remove one of them'
        if not isinstance(volume["user"], int):
            yield f"user: the folder of volumes.{name} can't belong to a name; write the number of {volume['user']}"
        if volume["owner"] != service["name"]:
            yield from _borrowed(service, name, volume, catalogue, wrong)
    yield from _rivals(service)


def _rivals(service: Service) -> Iterator[str]:
    """Yield what else would use the files of a singleton while it runs."""
    if service["activation"] != "singleton":
        for name in (name for name, volume in service["volumes"].items() if volume.get("commands")):
            yield f"volumes.{name}.commands: only for a singleton; other services' commands may always use the files"
        return
    for command in filter(service.get, _BESIDE if service["volumes"] else ()):
        yield (
            f"{command}: would run next to the live instance, but only one process may use a singleton's files; "
            "let the program do it when it starts"
        )
    for key in filter(service.get, _COMMANDS if exclusive(service) else ()):
        yield (
            f"{key}: would run next to the live instance, but only one process may use a singleton's files; if its "
            f"commands may, set `commands: true` at volumes.{exclusive(service)[0]}"
        )


def _borrowed(
    service: Service, name: str, volume: Mapping[str, Any], catalogue: Catalogue, wrong: Collection[str]
) -> Iterator[str]:
    owner = volume["owner"]
    if owner in wrong:
        return
    if owner not in catalogue:
        yield f'volumes.{name}.of: unknown service "{owner}"{suggestion(owner, catalogue)}'
        return
    found = catalogue[owner]["volumes"].get(name)
    if found is None or found["owner"] != owner:
        yield f'volumes.{name}.of: {owner} has no volume "{name}"{suggestion(name, catalogue[owner]["volumes"])}'
        return
    if volume["shared"] != found["shared"]:
        yield f"volumes.{name}.shared: {volume['shared']}, but {found['shared']} at {owner}, which it belongs to"
    if volume["user"] != found["user"]:
        yield (
            f"user: {volume['user']}, but the files of {volume_name(owner, name)} belong to user {found['user']}; "
            "both services need the same `user` and `userns`"
        )
    if "singleton" in (service["activation"], catalogue[owner]["activation"]):
        yield (
            f"volumes.{name}.of: only one process may use the files of a singleton, so {owner} and {service['name']} "
            "can't share them; use another `activation` for both"
        )


def host_problems(
    catalogue: Catalogue, groups: Mapping[str, Collection[str]], nfs: Mapping[str, str] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield (service, line) for volumes that would differ between hosts.

    `groups` = {group: [host]}, `nfs` = {<service>/<volume>: <server>:<path>}.
    """
    for service, value, name, volume in owned(catalogue):
        hosts = list(groups.get(value["group"], ()))
        if volume_name(service, name) in (nfs or {}) or volume["per_host"]:
            continue
        if len(hosts) > 1 and value["activation"] != "singleton":
            yield (
                service,
                f"volumes.{name}: {', '.join(hosts)} would each have files of their own; run the service on one host "
                f"(`group`, or `activation: singleton`), put the volume on NFS (volumes_nfs in the inventory), or set "
                "`per_host: true` if each host may have its own",
            )
    for service, value in catalogue.items():
        for name, volume in value["volumes"].items():
            owner = catalogue.get(volume["owner"])
            away = set(groups.get(value["group"], ())) - set(groups.get(owner["group"], ()) if owner else ())
            if owner and away and volume_name(volume["owner"], name) not in (nfs or {}):
                yield service, f"volumes.{name}.of: {', '.join(sorted(away))} has no files of {volume['owner']}"


def nfs_problems(catalogue: Catalogue, nfs: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with `volumes_nfs`, {<service>/<volume>: <server>:<path>}."""
    known = {volume_name(service, name): volume for service, _value, name, volume in owned(catalogue)}
    for name, place in nfs.items():
        if name not in known:
            yield f"volumes_nfs.{name}: no service has this volume{suggestion(str(name), known)}"
        elif known[name]["shared"] == "per_slot":
            yield f"volumes_nfs.{name}: each slot has its own copy, which a deploy makes; keep it on the hosts"
        if not _EXPORT.match(str(place)):
            yield f"volumes_nfs.{name}: expected <server>:<path>, such as nfs.example.com:/export/media"
