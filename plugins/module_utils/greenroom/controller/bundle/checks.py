# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The checks of a slot that run on a host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .description import Groups, Service


def ready_checks(services: Iterable[Service], slot: str) -> list[dict[str, Any]]:
    """Return a check of each service's health page, for `smoke_check` on the service's host."""
    return [
        {
            "name": f"{service['name']} is ready",
            "url": f"http://127.0.0.1:{service['ports'][service['health']['port']]['host'][slot]}"
            f"{service['health']['path']}",
            "expect": {"status": 200},
        }
        for service in services
        if service["health"] and service["activation"] == "always"
    ]


def smoke_checks(
    checks_of_slot: Iterable[Mapping[str, Any]], host: str, groups: Groups, silent: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the checks of a slot that run on `host`: each runs on the first host of its group `on` that answers."""
    return [
        {key: value for key, value in check.items() if key != "on"}
        for check in checks_of_slot
        if [member for member in groups.get(check["on"], []) if member not in silent][:1] == [host]
    ]
