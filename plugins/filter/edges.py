# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters that combine the responses of hosts about slots, traffic and the lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.greenroom.canary import units, weights
from ansible.module_utils.greenroom.controller.slots import (
    certificate_status,
    crashes,
    edges,
    health,
    job_status,
    lock_holders,
    maintenance_status,
    pause,
    status,
    way_back,
)


def plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a ValueError into an error message of one line."""

    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except ValueError as error:
            raise AnsibleFilterError(str(error)) from error

    return call


class FilterModule:
    """Filters about slots: functions of `controller/slots/`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "edges_answers": edges.answers,
            "edges_notes": edges.notes,
            "edges_failures": edges.failures,
            "edges_together": plainly(edges.together),
            "edges_epoch": plainly(edges.epoch_for),
            "edges_is_new": edges.is_new,
            "edges_dead_units": health.dead,
            "edges_no_previous": way_back.no_previous,
            "edges_no_traffic": way_back.down,
            "edges_refusal": way_back.refusal,
            "edges_routed": edges.routed,
            "edges_doubt": edges.doubt,
            "edges_pause": pause.pause,
            "edges_summary": status.summary,
            "environment_lock_holders": lock_holders.holders,
            "edges_containers": status.containers,
            "edges_job_command": job_status.job_command,
            "edges_jobs": job_status.job_lines,
            "edges_certificates": certificate_status.certificate_lines,
            "edges_maintenance": maintenance_status.maintenance_lines,
            "edges_unit_command": crashes.command,
            "edges_unserved": health.unserved,
            "edges_units_shown": units.command,
            "edges_unit_readings": crashes.readings,
            "edges_unit_snapshot": crashes.snapshot,
            "canary_weights": plainly(weights.weights),
            "canary_pauses": plainly(weights.pauses),
            "other_slot": edges.other_slot,
        }
