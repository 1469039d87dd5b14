# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters that turn the catalogue into a slot's files, units, checks, backends and routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.controller.slots import bundle


class FilterModule:
    """The filters `bundle_*` and `edge_*`, each a function of `controller/slots/bundle.py` in module_utils."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "bundle_trees": bundle.trees,
            "bundle_files": bundle.files,
            "bundle_volumes": bundle.volumes,
            "bundle_units": bundle.units,
            "bundle_ready_checks": bundle.ready_checks,
            "bundle_description": bundle.describe,
            "bundle_description_file": bundle.description_file,
            "bundle_descriptions": bundle.descriptions,
            "bundle_stops": bundle.stops,
            "bundle_description_of": bundle.description_of,
            "bundle_live_only": bundle.live_only,
            "bundle_live_only_units": bundle.live_only_units,
            "bundle_slot_services": bundle.slot_services,
            "bundle_slot_units": bundle.slot_units,
            "bundle_slot_started": bundle.slot_started,
            "bundle_unit_name": bundle.unit_name,
            "bundle_checks": bundle.checks,
            "smoke_checks": bundle.smoke_checks,
            "edge_backends": bundle.edge_backends,
            "edge_routes": bundle.edge_routes,
        }
