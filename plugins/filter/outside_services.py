# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for providers: outside services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.controller.providers import live, providers


class FilterModule:
    """The filters `providers_*`: functions of `controller/providers/`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "providers_credential_problems": live.secret_problems,
            "providers_environment": providers.environment,
            "providers_fingerprints": live.fingerprint_text,
            "providers_named": providers.provider_of,
            "providers_resolved": providers.resolved,
            "providers_generated_paths": providers.generated_paths,
            "providers_secret_paths": providers.secret_paths,
            "providers_settable": providers.settable,
            "providers_with_all_secrets": providers.with_all_secrets,
            "providers_with_secrets": providers.with_secrets,
        }
