# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Where routes are, by host name and path, and what the edge serves to nobody."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

Place = tuple[str, str]
"""A host name, or OWN, and a path."""
OWN = ""
"""Stands for the environment's own names (`edge_public_names`)."""


def whole(path: str) -> str:
    """Return a path as the edge compares it: `/order/` matches /order, /order/ and /order/1, but not /orders."""
    return f"{path.rstrip('/')}/"


def closed_places(services: Mapping[str, Mapping[str, Any]], own_names: Collection[str] = ()) -> list[Place]:
    """Return the closed (host name, path) of services, {name: service}, paths with a trailing slash, sorted.

    Those are the paths that routes exclude, and the pages for health checks and metrics that a route would make public.
    A page that is itself the path of a route stays public. Names in `own_names` are the environment's own.
    """
    every = [(name, route) for name, service in services.items() for route in service["routes"]]
    routes = {place: (name, route["port"]) for name, route in every for place in places(route, own_names)}
    # Bundles of earlier versions exclude nothing.
    closed = {
        (host, path) for _, route in every for host, _ in places(route, own_names) for path in route.get("exclude", [])
    }
    hosts = {host for host, _ in routes}
    for name, service in services.items():
        for page in filter(None, (service.get("health"), service.get("metrics"))):
            # A health check may be something else than a request to a page.
            if "path" not in page:
                continue
            path = whole(page["path"].partition("?")[0])
            for host in hosts:
                longest = longest_route(host, path, routes)
                if longest and routes[longest] == (name, page["port"]):
                    closed.add((host, path))
    return sorted(closed - routes.keys())


def longest_route(host: str, path: str, routes: Iterable[Place]) -> Place | None:
    """Return the place of the route that a host's path leads to."""
    found = [(own, route) for own, route in routes if own == host and path.startswith(route)]
    return max(found, key=lambda place: len(place[1]), default=None)


def places(route: Mapping[str, Any], own_names: Collection[str] = ()) -> list[Place]:
    """Return the (host name, path) of a route or redirect; names in `own_names` are the environment's own."""
    return [(host, route["path"]) for host in hosts_of(route, own_names)]


def hosts_of(route: Mapping[str, Any], own_names: Collection[str] = ()) -> list[str]:
    """Return the names of a route or redirect, OWN for those in `own_names`; bundles of earlier versions have none."""
    return list(dict.fromkeys(OWN if host in own_names else host for host in route.get("hosts") or [OWN]))


def names_of(services: Mapping[str, Mapping[str, Any]], own_names: Collection[str] = ()) -> list[str]:
    """Return the host names of all routes and redirects of services besides `own_names`, sorted."""
    routes = [each for service in services.values() for key in ("routes", "redirects") for each in service.get(key, ())]
    return sorted({host for each in routes for host in hosts_of(each, own_names)} - {OWN})


def place_of(address: str) -> Place:
    """Return the place of a canary's probe: a path of the environment's own names, or https:// and a name before it."""
    if address.startswith("/"):
        return OWN, whole(address.partition("?")[0])
    host, _, path = address.removeprefix("https://").partition("/")
    return host, whole(f"/{path.partition('?')[0]}")
