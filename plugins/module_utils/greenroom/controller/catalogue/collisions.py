# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What two services can't both have: ports, databases, paths, toggles, queues, logins. A problem is (service, line)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ...data_stores.databases import own_databases
from .closed_paths import closed_places, longest_route, place_of, places
from .route_collisions import every_route, tcp_routes

Service = Mapping[str, Any]
Catalogue = Mapping[str, Service]
Problem = tuple[str, str]


def collisions(
    catalogue: Catalogue, groups: Mapping[str, Collection[str]], taken: Mapping[tuple[str, int], str] | None = None
) -> Iterator[Problem]:
    """Yield (service, line) if two services claim the same port, database, path or toggle, or both keep identities.

    `groups` = {group: [host]}. Groups with a common host share its ports. `taken` = {(host, port): what has it}.
    """
    ports: dict[tuple[str, int], str] = dict(taken or {})
    databases: dict[str, str] = {}
    toggles: dict[str, str] = {}
    keepers = [name for name, service in catalogue.items() if service["identities"]]
    for name in keepers[1:]:
        yield name, f"identities: {keepers[0]} already keeps them; only one service can"
    for name, service in catalogue.items():
        hosts = groups.get(service["group"], ())
        for port, value in service["ports"].items():
            for slot, number in value["host"].items():
                # If the group has no hosts yet, its name takes their place.
                others = {ports.setdefault((host, number), f"{name}.{port}") for host in hosts or [service["group"]]}
                for other in sorted(others - {f"{name}.{port}"}):
                    yield name, f"ports.{port}: port {number} in {slot} is taken by {other}; set another `host`"
        for database in own_databases(service):
            if databases.setdefault(database, name) != name:
                key = "database" if database == service["database"] else "databases"
                yield name, f'{key}: "{database}" belongs to {databases[database]}'
        for toggle in service["toggles"]:
            if toggles.setdefault(toggle, name) != name:
                yield name, f"toggles.{toggle}: {toggles[toggle]} has a toggle of this name; choose another one"
    for host in groups.get("edge", ()):
        for name, key, route in tcp_routes(catalogue):
            if holder := ports.get((host, route["listen"])):
                yield name, f"{key}.listen: {host} has port {route['listen']} already ({holder}); choose another one"


def closed_collisions(catalogue: Catalogue) -> Iterator[Problem]:
    """Yield (service, line) for closed paths that are the path of a route, or that a canary would probe in vain."""
    taken = {place: f"{name} {key}" for name, key, route in every_route(catalogue) for place in places(route)}
    closed = closed_places(catalogue)
    for name, service in catalogue.items():
        for index, route in enumerate(service["routes"]):
            for path, place in ((path, (host, path)) for host, _ in places(route) for path in route["exclude"]):
                if place in taken and path != route["path"]:
                    yield name, f'routes[{index}].exclude: "{path}" is the path of {taken[place]}; remove one of them'
        for index, probe in enumerate((service["canary"] or {}).get("probes", [])):
            if longest_route(*place_of(probe), closed):
                yield name, f'canary.probes[{index}]: "{probe}" is closed to visitors; probe another path, or route it'


def broker_collisions(catalogue: Catalogue) -> Iterator[Problem]:
    """Yield (service, line) if two services claim the same broker queue or login."""
    queues: dict[str, str] = {}
    logins: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, service in catalogue.items():
        for queue in service["queues"]:
            if queues.setdefault(queue, name) != name:
                yield name, f'queues: "{queue}" belongs to {queues[queue]}'
        for variable, secret in service["secrets"].items():
            if secret["kind"] == "broker":
                owner = secret["owner"]
                if logins.setdefault(secret["name"], owner) != owner:
                    yield name, f'secrets.{variable}.broker: "{secret["name"]}" belongs to {logins[secret["name"]]}'
                if names.setdefault(owner, secret["name"]) != secret["name"]:
                    yield name, f'secrets.{variable}.broker: {owner} has login "{names[owner]}"; only one is allowed'
