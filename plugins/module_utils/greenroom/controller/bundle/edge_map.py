# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The map in which HAProxy looks up where a request of a slot goes, and what else the edge takes from routes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ..catalogue.closed_paths import OWN, closed_places, names_of, places
from ..catalogue.route_values import bytes_of, seconds_of
from .description import Description

Route = Mapping[str, Any]
CLOSED = "closed"
REDIRECT = ">"
"""What a redirect has in place of a port. The service before it may be in maintenance."""


def edge_map(description: Description, own_names: Collection[str]) -> list[str]:
    """Return the lines `<key> <value>` of a slot's map, sorted; `own_names` are the environment's own names.

    The key of a route is its path, after its host name if it has one; the key of a TCP route is its port with `/`, and
    the host name if it has one. See routes.map.j2 for the values.
    """
    services = description["services"]
    found: dict[str, str] = {}
    for name, service in sorted(services.items()):
        for route in service["routes"]:
            for host, path in places(route, own_names):
                found.setdefault(host + path, _route(f"{name}_{route['port']}", route))
        for redirect in service.get("redirects", ()):
            for host, path in places(redirect, own_names):
                found.setdefault(host + path, _redirect(name, redirect, host))
        for route in service.get("tcp_routes", ()):
            # A name that begins with a port, such as 5222.example.com, must not find a TCP route: hence the slash.
            for host in route["hosts"] or [OWN]:
                found.setdefault(f"{route['listen']}/{host}", f"{name}_{route['port']}")
    found |= {host + path: CLOSED for host, path in closed_places(services, own_names)}
    for host in names_of(services, own_names):
        # So that a wildcard's routes are not those of a name that has some of its own.
        found.setdefault(f"{host}/", CLOSED)
    return [f"{key} {value}" for key, value in sorted(found.items())]


def _route(backend: str, route: Route) -> str:
    """Return the value of a route. Fields that earlier versions lack come last, and only if they are needed."""
    timeout = seconds_of(route["timeout"]) if route.get("timeout") else 0
    cut = _length(route) if route.get("strip") else 0
    body = bytes_of(route["body"]) if route.get("body") else 0
    certificate = "certificate" if route.get("client_certificate") else ""
    fields = [backend, route["limit"], "auth" if route["auth"] else "open"]
    if cut or body or certificate:
        return ":".join(map(str, [*fields, timeout, cut, body, certificate or "-"]))
    return ":".join(map(str, [*fields, timeout] if timeout else fields))


def _redirect(service: str, redirect: Route, host: str) -> str:
    """Return the value of a redirect. That of a whole host name tells nothing, so it needs no password."""
    openly = host != OWN and redirect["path"] == "/"
    fields = [f"{service}_{REDIRECT}", "default", "open" if openly else "auth", redirect["status"], _length(redirect)]
    return ":".join(map(str, [*fields, redirect["to"].rstrip("/")]))


def _length(route: Route) -> int:
    """Return the length of a path without its last slash."""
    return len(route["path"]) - 1


def tcp_listeners(
    catalogue: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Return the ports of the edge hosts with TCP routes, in the catalog or a slot: [{listen, named}].

    `named` is whether host names tell the routes of the port apart.
    """
    routes: dict[int, list[Route]] = {}
    for route in _tcp_routes(catalogue, bundles):
        routes.setdefault(int(route["listen"]), []).append(route)
    return [{"listen": listen, "named": any(route["hosts"] for route in own)} for listen, own in sorted(routes.items())]


def tcp_firewall_ports(
    catalogue: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]] | None, sources: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the firewall's entry for ports with TCP routes, which are open to `sources`; none without such routes."""
    ports = [each["listen"] for each in tcp_listeners(catalogue, bundles)]
    return [{"name": "TCP routes", "ports": ports, "groups": ["edge"], "from": list(sources)}] if ports else []


def _tcp_routes(catalogue: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]] | None) -> Iterator[Route]:
    for services in [catalogue, *(bundle["services"] for bundle in (bundles or {}).values())]:
        for service in services.values():
            yield from service.get("tcp_routes", ())


def edge_services(catalogue: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]] | None = None) -> list[str]:
    """Return the services that visitors reach through the edge, in the catalog or a slot, sorted."""
    every = [catalogue, *(bundle["services"] for bundle in (bundles or {}).values())]
    keys = ("routes", "redirects", "tcp_routes")
    return sorted({name for services in every for name, its in services.items() if any(its.get(key) for key in keys)})


def own_addresses(description: Description, public_name: str, address: str) -> dict[str, str]:
    """Return {name: address} for all host names at which a slot can be reached: `public_name`, and those of routes."""
    names = names_of(description.get("services", {}))
    return {public_name: address} | dict.fromkeys(names, address)


def edge_names(
    catalogue: Mapping[str, Any],
    bundles: Mapping[str, Mapping[str, Any]] | None = None,
    known: Collection[str] = (),
) -> list[str]:
    """Return the host names of routes and redirects, in the catalog or a slot, sorted, without those in `known`.

    `known` may have wildcards, which cover the names one label below.
    """
    found = set(names_of(catalogue)).union(*(names_of(bundle["services"]) for bundle in (bundles or {}).values()))
    return sorted(name for name in found if name not in known and f"*.{name.partition('.')[2]}" not in known)
