# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for the secrets of services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.controller.bundle import given_secrets as given
from ansible.module_utils.greenroom.controller.catalogue import service_secrets


class FilterModule:
    """The filters `secret_*`: functions of `controller/catalogue/service_secrets.py`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "secret_environment": service_secrets.secret_environment,
            "secret_given": service_secrets.given_paths,
            "secret_list": given.listed,
            "secret_paths": service_secrets.secret_paths,
            "secret_settable": service_secrets.settable,
            "secret_texts": service_secrets.secret_texts,
        }
