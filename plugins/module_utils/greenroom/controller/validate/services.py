# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the folders of the services, and with their service.yml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...common.names import nearest
from ..catalogue import derived_names, service_checks, service_schema, volume_checks
from ..catalogue.catalogue import is_folder
from . import route_names


def service_problems(
    folder: Path,
    catalogue: Mapping[str, Mapping[str, Any]],
    load: Callable[[Path], Any],
    groups: Mapping[str, Sequence[str]],
    limits: Sequence[str] | None,
    *,
    host_ports: Iterable[Mapping[str, Any]] = (),
    nfs: object = None,
) -> Iterator[str]:
    """Yield what is wrong with each service in `folder`, one line each.

    `load` returns the content of a YAML file, `groups` = {group: [host]}, `limits` are the names in `edge_limits`, None
    if that variable is not a mapping. `host_ports` is `firewall_ports`, the ports that hosts have, `nfs` is
    `volumes_nfs`. Services that don't match the schema are left out of the further checks.
    """
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        if is_folder(entry) and entry.name not in catalogue and _is_meant(entry):
            yield f"{folder.name}/{entry.name}: has no service.yml"
    for name in catalogue:
        if not derived_names.FOLDER.fullmatch(name):
            yield f"{folder.name}/{name}: the folder's name must have {derived_names.FOLDER_RULE}"
    for name, service in catalogue.items():
        yield from (f"{folder.name}/{name}/service.yml: {line}" for line in _structure(service, load))
    valid = valid_services(catalogue, load)
    taken = taken_ports(host_ports, groups)
    # The check of types reports a value of another type.
    on_nfs = nfs if isinstance(nfs, Mapping) else {}
    for name, line in service_checks.problems(
        valid, groups, limits, catalogue.keys() - valid.keys(), taken, nfs=on_nfs
    ):
        yield f"{folder.name}/{name}/service.yml: {line}"
    yield from volume_checks.nfs_problems(valid, on_nfs)


def with_names(
    services: Mapping[str, Mapping[str, Any]], render: Callable[[Any], Any], value: Callable[[str], Any]
) -> route_names.Names:
    """Return services that fit the schema with the host names of their routes."""
    return route_names.Names(services, render, value)


def _is_meant(folder: Path) -> bool:
    """Whether a folder without service.yml is meant to be a service; a git checkout has others, such as docs."""
    if not (folder.parent / ".git").exists():
        return True
    names = [path.name for path in folder.iterdir()]
    return any(name in ("checks.yml", "config") or nearest(name, ["service.yml"]) for name in names)


def valid_services(
    catalogue: Mapping[str, Mapping[str, Any]], load: Callable[[Path], Any]
) -> dict[str, Mapping[str, Any]]:
    """Return the services that match the schema; `load` returns the content of a YAML file."""
    return {name: service for name, service in catalogue.items() if not _structure(service, load)}


def _structure(service: Mapping[str, Any], load: Callable[[Path], Any]) -> list[str]:
    return service_schema.structure_errors(load(Path(service["folder"], "service.yml")))


def taken_ports(
    host_ports: Iterable[Mapping[str, Any]], groups: Mapping[str, Sequence[str]]
) -> dict[tuple[str, int], str]:
    """Return {(host, port): what has it}; the check of types reports items of another shape."""
    return {
        (host, int(port)): str(item.get("name"))
        for item in host_ports
        if isinstance(item, Mapping)
        for port in item.get("ports") or ()
        if str(port).isdecimal()
        for group in item.get("groups") or ()
        for host in groups.get(group, ())
    }
