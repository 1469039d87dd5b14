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
    description,
    edge_routes,
    environment_file,
    files,
    images,
    jobs,
    reported,
    schema,
    signature,
    units,
)
from ansible.module_utils.greenroom.controller.catalogue import smoke_checks, toggles


class FilterModule:
    """Each filter is a function of `controller/bundle/` in module_utils, which describes its arguments."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "bundle_commands": commands.commands,
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
            "bundle_job_files": jobs.job_files,
            "bundle_job_list": jobs.job_list,
            "bundle_has_jobs": jobs.has_jobs,
            "bundle_timer_files": jobs.timer_files,
            "bundle_timer_units": jobs.timer_units,
            "bundle_slot_jobs": jobs.slot_jobs,
            "bundle_wait_tries": jobs.wait_tries,
            "bundle_hooks": jobs.hook_commands,
            "bundle_has_hook": jobs.has_hook,
            "bundle_run_host": jobs.run_host,
            "bundle_run_problem": jobs.run_problem,
            "bundle_units": units.units,
            "bundle_ready_checks": checks.ready_checks,
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
            "bundle_live_file": activation.live_file,
            "bundle_live_only_units": activation.live_only_units,
            "bundle_slot_services": units.slot_services,
            "bundle_slot_units": units.slot_units,
            "bundle_slot_started": units.slot_started,
            "bundle_unit_name": units.unit_name,
            "bundle_checks": smoke_checks.checks,
            "smoke_checks": checks.smoke_checks,
            "edge_backends": edge_routes.edge_backends,
            "edge_check_seconds": edge_routes.check_seconds,
            "edge_closed": edge_routes.edge_closed,
            "edge_routes": edge_routes.edge_routes,
        }
