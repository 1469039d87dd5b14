# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The filter for dashboards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.greenroom.controller.dashboards import grafana


def dashboards(
    catalogue: Mapping[str, Mapping[str, Any]], environment: str, source: str, *, broker: bool, egress: bool
) -> dict[str, dict[str, Any]]:
    """Return {name: dashboard} of an environment with these services."""
    made: dict[str, dict[str, Any]] = grafana.dashboards(environment, grafana.shown(catalogue, broker, egress), source)
    return made


class FilterModule:
    """The filter `dashboards`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {"dashboards": dashboards}
