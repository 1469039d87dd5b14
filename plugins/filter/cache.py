# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for the logins and keys of the cache server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.greenroom.data_stores import valkey


def prefixes(catalogue: Mapping[str, Mapping[str, Any]], slot: str) -> dict[str, str]:
    """Return {service: prefix of its keys in `slot`} of all services with a cache."""
    return {name: valkey.pattern(service["cache"], slot) for name, service in catalogue.items() if service["cache"]}


class FilterModule:
    """The filters `cache_*`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {"cache_logins": valkey.desired, "cache_prefixes": prefixes}
