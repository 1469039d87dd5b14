# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The routes and backends of a slot in HAProxy on the edge hosts."""

from __future__ import annotations

from typing import Any

from .description import Description


def edge_backends(description: Description) -> list[dict[str, Any]]:
    """Return the backends of a slot, {name, port, health: {path, port}, hosts: [{name, address}]}.

    There is one for each port with a route.
    """
    slot, services = description["slot"], description["services"]
    wanted = {(name, route["port"]) for name, service in services.items() for route in service["routes"]}
    return [
        {
            "name": f"{name}_{port}",
            "port": services[name]["ports"][port]["host"][slot],
            "health": {
                "path": services[name]["health"]["path"],
                "port": services[name]["ports"][services[name]["health"]["port"]]["host"][slot],
            },
            "hosts": description["hosts"][services[name]["group"]],
        }
        for name, port in sorted(wanted)
    ]


def edge_routes(description: Description) -> list[dict[str, Any]]:
    """Return the routes of a slot, {path, backend, limit, auth}, sorted by path."""
    return sorted(
        (
            {
                "path": route["path"],
                "backend": f"{name}_{route['port']}",
                "limit": route["limit"],
                "auth": route["auth"],
            }
            for name, service in description["services"].items()
            for route in service["routes"]
        ),
        key=lambda route: str(route["path"]),
    )
