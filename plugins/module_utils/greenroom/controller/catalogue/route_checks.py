# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What the routes of one service may be, beyond their schema."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ...common.names import suggestion
from .route_values import seconds_of

# Seconds that a route may let a connection be silent.
LONGEST_TIMEOUT = 86400
# The edge's own paths.
_EDGE_PATH = "/.greenroom/"


def route_problems(service: Mapping[str, Any], limits: Collection[str] | None) -> Iterator[str]:
    """Yield the problems of a service's routes; `limits` are the classes of rate limits, None if unknown."""
    if service["routes"] and service["activation"] == "live_only":
        yield (
            "routes: a live_only service does not run in the idle slot, so it can't have routes; with "
            "`activation: singleton`, its requests reach the one instance, and fail for seconds in a cutover"
        )
    for index, route in enumerate(service["routes"]):
        yield from _target_problems(service, f"routes[{index}]", route["port"])
        if limits is not None and route["limit"] not in limits:
            yield f'routes[{index}].limit: unknown class "{route["limit"]}"{suggestion(str(route["limit"]), limits)}'
        if route["path"].startswith(_EDGE_PATH):
            yield f'routes[{index}].path: "{_EDGE_PATH}" belongs to the edge itself; choose another path'
        yield from _timeout_problems(f"routes[{index}]", route["timeout"])
        if route["strip"] and route["path"] == "/":
            yield f"routes[{index}].strip: the path / has nothing to remove; leave it out"
        for path in route["exclude"]:
            if path == route["path"] or not path.startswith(route["path"]):
                yield f'routes[{index}].exclude: "{path}" is not below "{route["path"]}"'
    for index, redirect in enumerate(service["redirects"]):
        if redirect["path"].startswith(_EDGE_PATH):
            yield f'redirects[{index}].path: "{_EDGE_PATH}" belongs to the edge itself; choose another path'
    yield from _tcp_problems(service)


def _tcp_problems(service: Mapping[str, Any]) -> Iterator[str]:
    if service["tcp_routes"] and service["activation"] != "always":
        yield f"tcp_routes: a {service['activation']} service does not run in the idle slot, so it can't have routes"
    http = {route["port"] for route in service["routes"]}
    for index, route in enumerate(service["tcp_routes"]):
        yield from _target_problems(service, f"tcp_routes[{index}]", route["port"])
        yield from _timeout_problems(f"tcp_routes[{index}]", route["timeout"])
        if route["port"] in http:
            yield f'tcp_routes[{index}].port: "{route["port"]}" has a route for HTTP, too; use a port of its own'


def _target_problems(service: Mapping[str, Any], where: str, port: str | None) -> Iterator[str]:
    if port is None:
        yield f"{where}: no target; none of the service's ports has `edge` in `from`"
    elif port not in service["ports"]:
        yield f'{where}.port: unknown port "{port}"{suggestion(port, service["ports"])}'
    elif "edge" not in service["ports"][port]["from"]:
        yield f'{where}.port: the edge hosts can\'t reach "{port}"; add `edge` to its `from`'


def _timeout_problems(where: str, timeout: str | None) -> Iterator[str]:
    if timeout and seconds_of(timeout) > LONGEST_TIMEOUT:
        yield f"{where}.timeout: {timeout} is too long; the maximum is 24h"
