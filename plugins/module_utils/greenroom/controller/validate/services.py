# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the folders of the services, and with their service.yml."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..catalogue import service_checks, service_schema


def service_problems(
    folder: Path,
    catalogue: Mapping[str, Mapping[str, Any]],
    load: Callable[[Path], Any],
    groups: Mapping[str, Sequence[str]],
    limits: Sequence[str] | None,
) -> Iterator[str]:
    """Yield what is wrong with each service in `folder`, one line each.

    `load` returns the content of a YAML file, `groups` = {group: [host]}, `limits` are the names in `edge_limits`, None
    if that variable is no mapping. Services that don't match the schema are left out of the further checks.
    """
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        if entry.is_dir() and entry.name not in catalogue:
            yield f"{folder.name}/{entry.name}: has no service.yml"
    for name, service in catalogue.items():
        yield from (f"{folder.name}/{name}/service.yml: {line}" for line in _structure(service, load))
    valid = valid_services(catalogue, load)
    for name, line in service_checks.problems(valid, groups, limits, catalogue.keys() - valid.keys()):
        yield f"{folder.name}/{name}/service.yml: {line}"


def valid_services(
    catalogue: Mapping[str, Mapping[str, Any]], load: Callable[[Path], Any]
) -> dict[str, Mapping[str, Any]]:
    """Return the services that match the schema; `load` returns the content of a YAML file."""
    return {name: service for name, service in catalogue.items() if not _structure(service, load)}


def _structure(service: Mapping[str, Any], load: Callable[[Path], Any]) -> list[str]:
    return service_schema.structure_errors(load(Path(service["folder"], "service.yml")))
