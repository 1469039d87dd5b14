# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for the canary: what to probe, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.greenroom.canary.limits import Limits
from ansible.module_utils.greenroom.controller.canary import settings, step, watch


def canary_verdict(
    result: Mapping[str, Any],
    probed: Mapping[str, Any],
    traffic: Mapping[str, Any],
    journeys: Mapping[str, Any],
    limits: Mapping[str, Any],
    *,
    own: Mapping[str, Mapping[str, float]],
    wanted: Sequence[Mapping[str, str]],
    readings: step.Readings,
    missing: Sequence[str],
) -> dict[str, Any]:
    """Return the result after one more interval (`step.continued`); `limits` are the fields of `Limits`."""
    try:
        judged: dict[str, Any] = step.continued(
            result,
            probed,
            traffic,
            journeys,
            Limits(**limits),
            own=own,
            wanted=wanted,
            readings=readings,
            missing=missing,
        )
    except (ValueError, TypeError) as error:
        raise AnsibleFilterError(f"no verdict: {error}") from error
    return judged


class FilterModule:
    """The filters `canary_*`: functions of `module_utils/greenroom/controller/canary/`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as roles use them."""
        return {
            "canary_paths": watch.probe_paths,
            "canary_targets": watch.targets,
            "canary_backends": settings.backends,
            "canary_limits": settings.limits,
            "canary_probed": settings.probed,
            "canary_queries": settings.queries,
            "canary_step_seconds": settings.step_seconds,
            "canary_steps": settings.steps,
            "canary_units": watch.units,
            "canary_unit_command": step.unit_command,
            "canary_unit_readings": step.unit_readings,
            "canary_aborted": step.aborted,
            "canary_begun": step.begun,
            "canary_missing_pages": watch.missing_pages,
            "canary_opened": step.opened,
            "canary_verdict": canary_verdict,
        }
