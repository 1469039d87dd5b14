# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What the routes of one service may be, beyond their schema."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ...common.names import suggestion

# Seconds that a route may let a connection be silent.
LONGEST_TIMEOUT = 86400
_UNITS = {"s": 1, "m": 60, "h": 3600}
# The edge's own paths.
_EDGE_PATH = "/.greenroom/"


def seconds_of(duration: str) -> int:
    """Return the seconds of a time such as 90s, 30m or 4h."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


def route_problems(service: Mapping[str, Any], limits: Collection[str] | None) -> Iterator[str]:
    """Yield the problems of a service's routes; `limits` are the classes of rate limits, None if unknown."""
    if service["routes"] and service["activation"] == "live_only":
        yield (
            "routes: a live_only service does not run in the idle slot, so it can't have routes; with "
            "`activation: singleton`, its requests reach the one instance, and fail for seconds in a cutover"
        )
    for index, route in enumerate(service["routes"]):
        port = route["port"]
        if port is None:
            yield f"routes[{index}]: no target; none of the service's ports has `edge` in `from`"
        elif port not in service["ports"]:
            yield f'routes[{index}].port: unknown port "{port}"{suggestion(port, service["ports"])}'
        elif "edge" not in service["ports"][port]["from"]:
            yield f'routes[{index}].port: the edge hosts can\'t reach "{port}"; add `edge` to its `from`'
        if limits is not None and route["limit"] not in limits:
            yield f'routes[{index}].limit: unknown class "{route["limit"]}"{suggestion(str(route["limit"]), limits)}'
        if route["path"].startswith(_EDGE_PATH):
            yield f'routes[{index}].path: "{_EDGE_PATH}" belongs to the edge itself; choose another path'
        if route["timeout"] and seconds_of(route["timeout"]) > LONGEST_TIMEOUT:
            yield f"routes[{index}].timeout: {route['timeout']} is too long; the maximum is 24h"
        for path in route["exclude"]:
            if path == route["path"] or not path.startswith(route["path"]):
                yield f'routes[{index}].exclude: "{path}" is not below "{route["path"]}"'
