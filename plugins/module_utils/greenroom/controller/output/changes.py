# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The changes of a task: on which hosts, and which files, units and items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHORT = 80
"""Characters; a longer list of changes is shown as a number."""
MANY_HOSTS = 8


def host_label(result: Any) -> str:
    """Return the host of a result, and the host that the task was delegated to."""
    host, other = str(result.host.get_name()), result.task.delegate_to
    return host if other in (None, host) else f"{host} -> {other}"


def joined(hosts: Sequence[str]) -> str:
    """Return the hosts as one text; of many hosts, the first ones and the number of the others."""
    if len(hosts) <= MANY_HOSTS:
        return ", ".join(hosts)
    return f"{', '.join(hosts[: MANY_HOSTS - 2])} and {len(hosts) - MANY_HOSTS + 2} more"


def tree_changes(result: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the files and units that a call of template_tree changed; nothing if the result is hidden."""
    files = [*result.get("changed_files", ()), *(f"{path} removed" for path in result.get("removed_files", ()))]
    units = [f"{unit} {what}" for unit, what in result.get("units", {}).items()]
    return {"files": files, "units": units}


def details(by_kind: Mapping[str, Sequence[str]], all_of_it: bool) -> str:
    """Return the changes of each kind, as a list or, if that is long, as a number."""
    parts = []
    for kind, values in by_kind.items():
        listed = ", ".join(values)
        parts += [listed if all_of_it or len(listed) <= SHORT else f"{len(values)} {kind}"] if values else []
    return f" ({'; '.join(parts)})" if parts else ""
