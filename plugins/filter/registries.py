# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for the registries that images come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.controller.catalogue import registries, signatures


class FilterModule:
    """The filters `registry_*`: functions of `controller/catalogue/`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "registry_auth_file": registries.auth_file,
            "registry_ca_files": registries.ca_files,
            "registry_logins": registries.logins,
            "registry_policy": signatures.policy,
            "registry_secret_paths": registries.secret_paths,
            "registry_signature_files": signatures.files,
            "registry_signatures": signatures.requirements,
        }
