# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Variables that have another name now, or are feature toggles now. CHANGELOG.md lists them, too."""

RENAMED = {
    "activation_slot": "slots_live_slot",
    "bake_seconds": "cutover_bake_seconds",
    "base_journal_max_age": "base_journal_days",
    "bundle_migrate_timeout": "bundle_migrate_seconds",
    "bundle_pull_timeout": "bundle_pull_seconds",
    "canary_journeys": "canary_checks",
    "canary_journeys_deadline": "canary_checks_seconds",
    "canary_slice_seconds": "canary_interval_seconds",
    "cutover_patience": "cutover_timeout_seconds",
    "cutover_share_seconds": "cutover_step_seconds",
    "drain_required": "cutover_drain_required",
    "drain_seconds": "cutover_drain_seconds",
    "drain_slot": "cutover_drain_slot",
    "drill_limit": "drill_repair_seconds",
    "drill_patience": "drill_timeout_seconds",
    "drill_pause": "drill_pause_seconds",
    "drill_recovery": "drill_recovery_seconds",
    "edge_drain_seconds": "edge_connection_hours",
    "edge_drain_timeout": "edge_connection_hours",
    "edge_server_timeout": "edge_server_seconds",
    "edge_share_by": "edge_weight_by",
    "edge_watchdog_interval": "edge_watchdog_seconds",
    "host_package_lists_max_age": "host_package_lists_seconds",
    "load_duration": "load_seconds",
    "load_duration_limit": "load_seconds_limit",
    "load_ramp": "load_ramp_seconds",
    "monitoring_interval": "monitoring_interval_seconds",
    "monitoring_retention_time": "monitoring_retention_days",
    "moves_always": "cutover_always",
    "reset_timer_calendar": "schedule_reset_calendar",
    "reset_timer_enabled": "schedule_reset_enabled",
    "reset_timer_host": "schedule_host",
    "seed_data_timeout": "seed_data_seconds",
    "seed_features": "environment_toggles",
    "services_ready_timeout": "bundle_ready_seconds",
    "simulation_interval": "simulation_interval_minutes",
    "smoke_deadline": "smoke_seconds",
    "start_slot": "slots_start_slot",
    "start_timeout": "slots_start_seconds",
    "stop_slot": "slots_stop_slot",
}
"""{old name: new name}. A run refuses the old names."""

TOGGLES = {
    "portal_new_checkout": "new_checkout",
    "portal_test_endpoints": "test_endpoints",
}
"""{variable: the toggle that replaces it}. A run refuses these variables, too."""
