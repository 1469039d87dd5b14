# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What services ask of a canary in their service.yml: steps, limits of their own, queries.

A cutover moves all services of a slot together. So it takes each step that a service asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...canary.weights import PAUSE, pauses, weights
from ..catalogue.closed_paths import longest_route, place_of, places

Catalogue = Mapping[str, Mapping[str, Any]]

STEP_SECONDS = 60
"""How long to watch a step if no service asks for more."""


def steps(catalogue: Catalogue) -> list[int | str]:
    """Return the steps that the services ask for together, as in `canary=5,pause,50`."""
    asked = [canary["steps"] for _, canary in _asked(catalogue)]
    waits = {weight for given in asked for weight in pauses(given)}
    together = sorted({weight for given in asked for weight in weights(given)})
    return [word for weight in together for word in (weight, PAUSE) if word != PAUSE or weight in waits]


def step_seconds(catalogue: Catalogue) -> int:
    """Return how long to watch each step: the longest time that a service asks for."""
    return max((canary["step_seconds"] or 0 for _, canary in _asked(catalogue)), default=0) or STEP_SECONDS


def limits(catalogue: Catalogue) -> dict[str, dict[str, float]]:
    """Return the limits of the services that have some of their own: {service: {name: value}}."""
    return {name: canary["limits"] for name, canary in _asked(catalogue) if canary["limits"]}


def backends(catalogue: Catalogue) -> dict[str, str]:
    """Return {backend at the edge, without its slot: service} for the services with limits of their own."""
    return {f"{name}_{route['port']}": name for name in limits(catalogue) for route in catalogue[name]["routes"]}


def probed(catalogue: Catalogue, paths: list[str]) -> dict[str, str]:
    """Return {path: service} for the probed `paths` that lead to a service with limits of its own."""
    routes = {
        place: name for name, service in catalogue.items() for route in service["routes"] for place in places(route)
    }
    own = limits(catalogue)
    found = {}
    for path in paths:
        longest = longest_route(*place_of(path), routes)
        if longest and routes[longest] in own:
            found[path] = routes[longest]
    return found


def queries(catalogue: Catalogue, slot: str) -> list[dict[str, Any]]:
    """Return the queries to Prometheus about a slot: {service, name, query, above or below}."""
    return [
        {**query, "service": name, "query": query["query"].replace("$slot", slot)}
        for name, canary in _asked(catalogue)
        for query in canary["queries"]
    ]


def _asked(catalogue: Catalogue) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (service, its `canary`) for the services that have one."""
    for name, service in sorted(catalogue.items()):
        if service["canary"]:
            yield name, service["canary"]
