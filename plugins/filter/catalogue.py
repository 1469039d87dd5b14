# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters over the catalogue and its secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom import passwords, views


class FilterModule:
    """Each is a function of `module_utils/greenroom`, where its arguments are described."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "firewall_matrix": views.firewall_matrix,
            "metrics_targets": views.metrics_targets,
            "new_secret": passwords.new_secret,
            "secret_environment": views.secret_environment,
            "secret_path": views.secret_path,
            "secret_paths": views.secret_paths,
        }
