# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The routes and backends of a slot in HAProxy on the edge hosts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from ...switch.bluegreen import SLOTS
from ..catalogue.closed_paths import closed_places
from ..catalogue.route_values import seconds_of
from .activation import first_host
from .description import Description, Groups, Service
from .health_checks import edge_check

# How long a connection of a TCP route may be silent.
TCP_SECONDS = 3600


def headers_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the response headers that a service sets at the edge; bundles of earlier versions have none."""
    return dict(sorted(service.get("headers", {}).items()))


def edge_backends(
    description: Description, public_name: str, others: Description | None = None, groups: Groups | None = None
) -> list[dict[str, Any]]:
    """Return the backends of a slot, one for each port with a route.

    Each is {name, port, mode: http or tcp, silent, sticky, http2, check_http2, health: {port, and the result of
    edge_check}, checked_by: name, headers: {name: value}, without: [name], hosts: [{name, address, id}]}. `http2` is
    whether the service expects HTTP/2, and `check_http2` whether the port that is checked does. Of backends that would
    get the same check, the first one is checked (`checked_by`). `headers` are for responses that have none of that
    name, and the edge adds none of those in `without`. `sticky` is whether a browser stays on a host, whose `id` it
    then gets, and `silent` for how many seconds a connection of a TCP route may be silent.

    Of a singleton there is one instance, whose requests reach it in either slot: `moves` is {name, host: {name,
    address}, port, health_port} for each place in which it may run. `others` is the other slot's description, and
    `groups` = {group: [host]}.
    """
    services = description["services"]
    wanted = {(name, route["port"]) for name, service in services.items() for route in all_routes(service)}
    found = [_backend(description, services[name], port, public_name) for name, port in sorted(wanted)]
    for backend, (name, port) in zip(found, sorted(wanted), strict=True):
        if services[name]["activation"] == "singleton":
            slots = [each for each in (description, others) if each and _is_singleton(each, name, port)]
            backend["moves"] = [_place(each, each["services"][name], port, groups or {}) for each in slots]
    return found


def _is_singleton(description: Description, name: str, port: str) -> bool:
    service = description["services"].get(name, {})
    return service.get("activation") == "singleton" and port in service["ports"]


def _place(description: Description, service: Service, port: str, groups: Groups) -> dict[str, Any]:
    """Return where a singleton runs while a slot is live."""
    slot, hosts = description["slot"], description["hosts"][service["group"]]
    first = first_host(description, service, groups)
    checked = (service["health"] or {}).get("port", port)
    return {
        # No host's name has a colon: `health.servers` knows these by it.
        "name": f"{first or hosts[0]['name']}:{slot}",
        "host": next((host for host in hosts if host["name"] == first), hosts[0]),
        "port": service["ports"][port]["host"][slot],
        "health_port": service["ports"].get(checked, service["ports"][port])["host"][slot],
    }


def _backend(description: Description, service: Service, port: str, public_name: str) -> dict[str, Any]:
    health, slot = service["health"], description["slot"]
    # The edge connects to the backend's own port if the check is a command, which has no port.
    checked = health.get("port", port)
    routes = [route for route in all_routes(service) if route["port"] == port]
    http2, check_http2 = (_expects_http2(service, each) for each in (port, checked))
    return {
        "mode": "tcp" if any("listen" in route for route in routes) else "http",
        "silent": max((seconds_of(route["timeout"]) for route in routes if route.get("timeout")), default=TCP_SECONDS),
        "sticky": any(route.get("sticky") for route in routes),
        "name": f"{service['name']}_{port}",
        "port": service["ports"][port]["host"][slot],
        "checked_by": f"{service['name']}_{_shares_check_of(service, port)}",
        "http2": ("grpc" in health and checked == port) or http2,
        "check_http2": check_http2,
        "health": {**edge_check(health, public_name), "port": service["ports"][checked]["host"][slot]},
        "headers": {header: value for header, value in headers_of(service).items() if value},
        "without": sorted(header for header, value in headers_of(service).items() if not value),
        "moves": [],
        "hosts": [
            # Browsers need not know the names of hosts.
            {**host, "id": hashlib.sha256(f"{service['name']} {host['name']}".encode()).hexdigest()[:12]}
            for host in description["hosts"][service["group"]]
        ],
    }


def _expects_http2(service: Mapping[str, Any], port: str) -> bool:
    return any(route.get("http2") for route in service["routes"] if route["port"] == port)


def all_routes(service: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the routes of a service for HTTP and for TCP; bundles of earlier versions have none for TCP."""
    return [*service["routes"], *service.get("tcp_routes", ())]


def _shares_check_of(service: Service, port: str) -> str:
    """Return the first port with a route that would get the same check as this one."""
    if "port" not in service["health"] or "grpc" in service["health"]:
        return port
    return min(str(route["port"]) for route in all_routes(service))


def check_seconds(backends: Sequence[Mapping[str, Any]], edges: int, per_second: int, slowest: int) -> int:
    """Return how many seconds pass between two checks of a server of these `backends` of a slot.

    All `edges` together send an app host at most `per_second` checks a second for both slots, unless that would take
    longer than `slowest` seconds.
    """
    checks = Counter(
        host["address"] for backend in backends if backend["checked_by"] == backend["name"] for host in backend["hosts"]
    )
    most = max(checks.values(), default=0)
    return min(max(1, ceil(len(SLOTS) * edges * most / int(per_second))), max(1, int(slowest)))


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
    """Return the paths of a slot that the edge serves to nobody, with a trailing slash, sorted.

    Before those of routes with a `host`, it stands.
    """
    return ["".join(place) for place in closed_places(description["services"])]
