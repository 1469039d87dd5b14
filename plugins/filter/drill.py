# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for drills: scenarios, reasons to refuse one, the load, and the results of several hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.controller.drill import cutover, load, results, scenarios


class FilterModule:
    """The filters `drill_*`, each a function of `controller/drill/` in module_utils, which describes its arguments."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "drill_scenario": scenarios.scenario,
            "drill_known": scenarios.known,
            "drill_refusals": scenarios.refusals,
            "drill_service": scenarios.service,
            "drill_endpoints": scenarios.endpoints,
            "drill_by_host": results.by_host,
            "drill_edges": results.edges,
            "drill_releases": results.releases,
            "drill_holder": results.holder,
            "drill_faults": results.faults,
            "drill_trouble": results.trouble,
            "drill_load_command": load.command,
            "drill_rate": load.rate,
            "drill_edge_limit": load.edge_limit,
            "drill_cutover_arguments": cutover.arguments,
            "drill_cutover_limit": cutover.limit,
        }
