# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the smoke checks of the services."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..catalogue import smoke_schema

Catalogue = Mapping[str, Mapping[str, Any]]


def load_checks(catalogue: Catalogue, load: Callable[[Path], Any], render: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the rendered content of each service's checks.yml, None for a service without one.

    `load` returns the content of a YAML file. `render` renders one template; it raises ValueError for one that needs
    a value of a later part of the run. The result has LATER there.
    """
    found = {}
    for name, service in catalogue.items():
        path = _file(service)
        found[name] = _rendered(load(path), render) if path.is_file() else None
    return found


def check_problems(catalogue: Catalogue, checks: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with each checks.yml, one line each; `checks` is the result of `load_checks`."""
    for name, service in catalogue.items():
        path = _file(service)
        for line in smoke_schema.file_problems(checks[name]):
            yield f"{path.parent.parent.name}/{name}/{path.name}: {line}"


def coverage_problems(
    catalogue: Catalogue, checks: Mapping[str, Any], groups: Mapping[str, Sequence[str]], mutating: bool
) -> Iterator[str]:
    """Yield what is wrong with all checks together; each file on its own must have no problems.

    `groups` = {group: [host]}. `mutating` says whether checks that change data run in this environment.
    """
    expanded = {name: smoke_schema.expanded(content) for name, content in checks.items()}
    routed = [name for name, service in catalogue.items() if service["routes"]]
    yield from smoke_schema.run_problems(expanded, routed, groups, mutating)


def _file(service: Mapping[str, Any]) -> Path:
    return Path(service["folder"], "checks.yml")


def _rendered(value: Any, render: Callable[[Any], Any]) -> Any:
    """Return `value` with each template in it rendered, or LATER in its place."""
    if isinstance(value, Mapping):
        return {key: _rendered(item, render) for key, item in value.items()}
    if isinstance(value, list):
        return [_rendered(item, render) for item in value]
    try:
        return render(value)
    except ValueError:
        return smoke_schema.LATER
