# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for alerts: who gets them, and what they expect to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.controller.bundle import expected
from ansible.module_utils.greenroom.controller.catalogue import alerting


class FilterModule:
    """Each filter is a function in module_utils, which describes its arguments."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "alert_config": alerting.config,
            "alert_secret_paths": alerting.secret_paths,
            "alert_expected": expected.expected,
        }
