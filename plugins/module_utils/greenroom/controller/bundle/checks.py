# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The checks of a slot that run on a host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...common.masking import Mask
from .description import Groups, Service
from .health_request import health_request
from .units import unit_name

_READY = " is ready"


def ready_checks(services: Iterable[Service], slot: str, public_name: str) -> list[dict[str, Any]]:
    """Return a check of each service's health page, for `smoke_check` on the service's host."""
    return [
        _ready_check(service, slot, health_request(service["health"], public_name))
        for service in services
        if service["health"] and service["activation"] == "always"
    ]


def _ready_check(service: Service, slot: str, request: Mapping[str, Any]) -> dict[str, Any]:
    port = service["ports"][service["health"]["port"]]["host"][slot]
    return {
        "name": f"{service['name']}{_READY}",
        "method": request["method"],
        "url": f"http://127.0.0.1:{port}{request['path']}",
        "headers": request["headers"],
        "expect": {"status": request["status"]},
    }


def not_ready(results: Iterable[Mapping[str, Any]], slot: str) -> list[str]:
    """Return the units whose check of `ready_checks` failed, from the `checks` that `smoke_check` returns."""
    return [unit_name(result["name"].removesuffix(_READY), slot) for result in results if not result["ok"]]


def last_words(read: Iterable[Mapping[str, Any]], secrets: Any) -> str:
    """Return the last log lines of units, without secrets.

    `read` are the results of a command that read them, with the unit as `item`. `secrets` are the run's secrets, at any
    depth.
    """
    mask = Mask(_texts(secrets))
    lines = []
    for result in read:
        lines += [f"The last lines of {result['item']}:"]
        lines += [f"  {line}" for line in result.get("stdout_lines") or ["(none)"]]
    return mask.clean("\n".join(lines))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (value, *value.split(","), *value.splitlines())
    elif isinstance(value, (Mapping, list)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def smoke_checks(
    checks_of_slot: Iterable[Mapping[str, Any]], host: str, groups: Groups, silent: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the checks of a slot that run on `host`: each runs on the first host of its group `on` that answers."""
    return [
        {key: value for key, value in check.items() if key != "on"}
        for check in checks_of_slot
        if [member for member in groups.get(check["on"], []) if member not in silent][:1] == [host]
    ]
