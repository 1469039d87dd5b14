# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for sign-in providers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.controller.catalogue import providers


class FilterModule:
    """The filters `provider_*`: functions of `controller/catalogue/providers.py`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "provider_client_problems": providers.client_problems,
            "provider_origins": providers.origins,
            "provider_passwords": providers.passwords,
            "provider_redirect_uri": providers.redirect_uri,
            "provider_secret_path": providers.secret_path,
            "provider_secret_paths": providers.secret_paths,
        }
