# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The paths that the edge serves to nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def whole(path: str) -> str:
    """Return a path as the edge compares it: `/order/` matches /order, /order/ and /order/1, but not /orders."""
    return f"{path.rstrip('/')}/"


def closed_paths(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the closed paths of services, {name: service}, with a trailing slash, sorted.

    Those are the paths that routes exclude, and the pages for health checks and metrics that a route would make public.
    A page that is itself the path of a route stays public.
    """
    routes = {route["path"]: (name, route["port"]) for name, its in services.items() for route in its["routes"]}
    # Bundles of earlier versions exclude nothing.
    closed = {path for its in services.values() for route in its["routes"] for path in route.get("exclude", [])}
    for name, service in services.items():
        for page in filter(None, (service.get("health"), service.get("metrics"))):
            # A health check may be something else than a request to a page.
            if "path" not in page:
                continue
            path = whole(page["path"].partition("?")[0])
            longest = max((route for route in routes if path.startswith(route)), key=len, default="")
            if routes.get(longest) == (name, page["port"]):
                closed.add(path)
    return sorted(closed - routes.keys())
