# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What two routes can't both have: a host name with a path, a port of the edge hosts. A problem is (service, line)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .closed_paths import OWN, Place, longest_route, place_of, places

Catalogue = Mapping[str, Mapping[str, Any]]
Routes = Iterator[tuple[str, str, Mapping[str, Any]]]


def every_route(catalogue: Catalogue) -> Routes:
    """Yield (service, key, route) for each route and redirect."""
    for name, service in catalogue.items():
        for key in ("routes", "redirects"):
            for index, route in enumerate(service[key]):
                yield name, f"{key}[{index}]", route


def tcp_routes(catalogue: Catalogue) -> Routes:
    """Yield (service, key, route) for each TCP route."""
    for name, service in catalogue.items():
        for index, route in enumerate(service["tcp_routes"]):
            yield name, f"tcp_routes[{index}]", route


def route_collisions(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield (service, line) for routes and redirects with one host name and path, TCP routes with one port."""
    taken: dict[Place, str] = {}
    for name, key, route in every_route(catalogue):
        for host, path in places(route):
            here = f"{name} {key}"
            if (other := taken.setdefault((host, path), here)) != here:
                yield name, f'{key}.path: "{host}{path}" is taken by {other}'
    yield from _endless(catalogue, taken)
    ports: dict[int, dict[str, str]] = {}
    for name, key, route in tcp_routes(catalogue):
        held, here = ports.setdefault(route["listen"], {}), f"{name} {key}"
        hosts = route["hosts"] or [OWN]
        # A route without names takes the whole port.
        others = [other for host, other in held.items() if host in hosts or OWN in (host, *hosts)]
        if others:
            yield name, f"{key}.listen: port {route['listen']} is taken by {others[0]}; choose another one"
        held |= dict.fromkeys(hosts, here)


def _endless(catalogue: Catalogue, taken: Mapping[Place, str]) -> Iterator[tuple[str, str]]:
    """Yield (service, line) for redirects that lead to themselves."""
    for name, key, redirect in every_route(catalogue):
        for place in places(redirect) if "to" in redirect else ():
            host, path = place_of(redirect["to"].replace("http://", "https://", 1))
            if host == OWN:
                host = place[0]
            elif not any(own == host for own, _ in taken):
                # As at the edge, which then looks for the wildcard.
                host = f"*.{host.partition('.')[2]}"
            if longest_route(host, path, taken) == place:
                yield name, f"{key}.to: {redirect['to']} is redirected itself, so browsers would never arrive"
