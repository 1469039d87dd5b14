# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for the secrets of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom import passwords, service_secrets


class FilterModule:
    """Each is a function of `module_utils/greenroom`, where its arguments are described."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "new_secret": passwords.new_secret,
            "secret_environment": service_secrets.secret_environment,
            "secret_path": service_secrets.secret_path,
            "secret_paths": service_secrets.secret_paths,
        }
