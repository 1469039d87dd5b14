# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The routes and backends of a slot in HAProxy on the edge hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..catalogue.closed_paths import closed_paths
from ..catalogue.service_checks import seconds_of
from .description import Description
from .health_request import health_request


def headers_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the response headers that a service sets at the edge; bundles of earlier versions have none."""
    return dict(sorted(service.get("headers", {}).items()))


def edge_backends(description: Description, public_name: str) -> list[dict[str, Any]]:
    """Return the backends of a slot, one for each port with a route.

    Each is {name, port, health: {port, and the result of health_request}, headers: {name: value}, without: [name],
    hosts: [{name, address}]}. `headers` are for responses that have none of that name, and the edge adds none of those
    in `without`.
    """
    slot, services = description["slot"], description["services"]
    wanted = {(name, route["port"]) for name, service in services.items() for route in service["routes"]}
    return [
        {
            "name": f"{name}_{port}",
            "port": services[name]["ports"][port]["host"][slot],
            "health": {
                **health_request(services[name]["health"], public_name),
                "port": services[name]["ports"][services[name]["health"]["port"]]["host"][slot],
            },
            "headers": {header: value for header, value in headers_of(services[name]).items() if value},
            "without": sorted(header for header, value in headers_of(services[name]).items() if not value),
            "hosts": description["hosts"][services[name]["group"]],
        }
        for name, port in sorted(wanted)
    ]


def edge_routes(description: Description) -> list[dict[str, Any]]:
    """Return the routes of a slot, {path, backend, limit, auth, seconds}, sorted by path.

    `seconds` is the route's timeout, None if it has none; bundles of earlier versions don't know it.
    """
    return sorted(
        (
            {
                "path": route["path"],
                "backend": f"{name}_{route['port']}",
                "limit": route["limit"],
                "auth": route["auth"],
                "seconds": seconds_of(route["timeout"]) if route.get("timeout") else None,
            }
            for name, service in description["services"].items()
            for route in service["routes"]
        ),
        key=lambda route: str(route["path"]),
    )


def edge_closed(description: Description) -> list[str]:
    """Return the paths of a slot that the edge serves to nobody, with a trailing slash, sorted."""
    return closed_paths(description["services"])
