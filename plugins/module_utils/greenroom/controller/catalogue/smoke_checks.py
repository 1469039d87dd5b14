# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The smoke checks of all services in the catalog."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def checks(catalogue: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return all smoke checks. `on` is the group that a check runs from, `ops` by default.

    A check with `each`, a list of mappings, is repeated for each of them, with its values in place of `${key}`.
    """
    return [
        {"on": check.get("on", "ops")}
        | {key: filled(value, values) for key, value in check.items() if key not in ("on", "each")}
        for _, service in sorted(catalogue.items())
        for check in service["checks"]
        for values in check.get("each", [{}])
    ]


def check_hosts(place: str, groups: Mapping[str, Collection[str]]) -> Collection[str]:
    """Return the hosts of which one runs a check of the group `place`: an environment without it has app hosts."""
    return groups.get(place) or groups.get("app") or ()


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """Return `value` with `${key}` replaced in all strings in it; keys that `values` doesn't have stay."""
    if isinstance(value, str):
        for key, item in values.items():
            value = value.replace(f"${{{key}}}", str(item))
        return value
    if isinstance(value, Mapping):
        return {filled(key, values): filled(item, values) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled(item, values) for item in value]
    return value
