# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters that return a slot's files, units, checks, backends and routes from the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.common.container_mac import mac_address
from ansible.module_utils.greenroom.controller.bundle import (
    activation,
    arguments,
    calls,
    checks,
    commands,
    container,
    description,
    edge_map,
    edge_routes,
    environment_file,
    files,
    images,
    reported,
    schema,
    signature,
    units,
    volumes,
)
from ansible.module_utils.greenroom.controller.catalogue import smoke_checks, toggles


class FilterModule:
    """Each filter is a function of `controller/bundle/` in module_utils, which describes its arguments."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "bundle_commands": commands.commands,
            "bundle_container": container.container,
            "bundle_fit": container.fit_options,
            "bundle_trees": files.trees,
            "bundle_files": files.files,
            "bundle_unused_images": images.unused,
            "bundle_volumes": files.volumes,
            "bundle_calls": calls.calls,
            "bundle_mac": mac_address,
            "bundle_exec": arguments.exec_line,
            "bundle_environment": environment_file.environment_lines,
            "bundle_secret_problems": environment_file.secret_problems,
            "bundle_toggle_variables": toggles.toggle_variables,
            "bundle_toggles_on": description.toggles_on,
            "bundle_units": units.units,
            "bundle_ready_checks": checks.ready_checks,
            "bundle_singleton_checks": checks.singleton_checks,
            "bundle_not_ready": checks.not_ready,
            "bundle_description": description.describe,
            "bundle_release": description.release_of,
            "bundle_descriptions": reported.descriptions,
            "bundle_refused": reported.refused,
            "bundle_signed_file": signature.signed_file,
            "bundle_signed_files": signature.signed_files,
            "bundle_public_key": signature.public_key,
            "bundle_public_keys": signature.public_keys,
            "bundle_key_fact": signature.key_fact,
            "bundle_stops": description.stops,
            "bundle_unfinished": description.unfinished,
            "bundle_description_of": description.description_of,
            "bundle_schemas_of": schema.schemas,
            "bundle_not_starting": schema.not_starting,
            "bundle_schema_warning": schema.warning,
            "bundle_schema_record": schema.record,
            "bundle_schema_files": schema.record_files,
            "bundle_untried": schema.untried,
            "bundle_trials": schema.trials,
            "bundle_down": schema.down,
            "bundle_down_everywhere": schema.down_everywhere,
            "bundle_moving_singletons": activation.moving_singletons,
            "bundle_idle_units": activation.idle_units,
            "bundle_startable": activation.startable,
            "bundle_live_file": activation.live_file,
            "bundle_live_only_units": activation.live_only_units,
            "bundle_slot_services": units.slot_services,
            "bundle_slot_units": units.slot_units,
            "bundle_slot_started": units.slot_started,
            "bundle_unit_name": units.unit_name,
            "bundle_volume_folders": volumes.folders,
            "bundle_volume_mounts": volumes.nfs_mounts,
            "bundle_volumes_required": volumes.required,
            "bundle_volume_copies": volumes.copies,
            "bundle_volume_objections": volumes.objections,
            "bundle_volumes_wanted": volumes.wanted,
            "bundle_has_volumes": volumes.has_volumes,
            "bundle_mount_files": volumes.mount_files,
            "bundle_mount_units": volumes.mount_units,
            "bundle_volumes_backed_up": volumes.backed_up,
            "bundle_checks": smoke_checks.checks,
            "smoke_checks": checks.smoke_checks,
            "edge_backends": edge_routes.edge_backends,
            "edge_check_seconds": edge_routes.check_seconds,
            "edge_closed": edge_routes.edge_closed,
            "edge_map": edge_map.edge_map,
            "edge_names": edge_map.edge_names,
            "edge_own_addresses": edge_map.own_addresses,
            "edge_routes": edge_routes.edge_routes,
            "tcp_firewall_ports": edge_map.tcp_firewall_ports,
            "tcp_listeners": edge_map.tcp_listeners,
        }
