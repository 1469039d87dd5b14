# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a slot's bundle consists of: files, mounts, units and health checks, computed from the catalogue.

A service here is one value of the variable ``catalogue``: a mapping with every default filled in. Nothing in this
module reads a file or reaches a host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Service = Mapping[str, Any]

QUADLET_FOLDER = "/etc/containers/systemd"
CA_FILE = "/etc/greenroom/ca.crt"


def unit_name(service: str, slot: str) -> str:
    """Return the name of the systemd unit that runs `service` in `slot`."""
    return f"{service}-{slot}.service"


def _for_templates(service: Service) -> dict[str, Any]:
    """Return the service without its checks: those are templates that mean something during a smoke check only."""
    return {key: value for key, value in service.items() if key != "checks"}


def trees(
    services: Iterable[Service], folder: str, slot: str, catalogue: Mapping[str, Service]
) -> list[dict[str, Any]]:
    """Return the template trees of a bundle: one for each service that has configuration files.

    `services` are those that run on the host, `folder` is the slot's folder there. The configuration is that of the
    service's `config_of` in `catalogue`, and readable by the container's user only.
    """
    return [
        {
            "src": f"{catalogue[service['config_of']]['folder']}/config",
            "dest": f"{folder}/{service['name']}/config",
            "vars": {"slot": slot, "service": _for_templates(service)},
            "owner": str(service["user"]),
            "group": str(service["user"]),
            "mode": "0400",
        }
        for service in services
        if service["config_path"] and catalogue[service["config_of"]]["has_config"]
    ]


def files(services: Iterable[Service], folder: str, slot: str) -> list[dict[str, Any]]:
    """Return the single files of a bundle: for each service its unit, its plain and its secret environment."""
    items: list[dict[str, Any]] = []
    for service in services:
        variables = {"service": _for_templates(service), "slot": slot, "folder": folder}
        items += [
            {
                "src": "service.container.j2",
                "dest": f"{QUADLET_FOLDER}/{service['name']}-{slot}.container",
                "vars": variables,
            },
            {
                "src": "environment.j2",
                "dest": f"{folder}/{service['name']}/environment",
                "vars": variables,
                "mode": "0600",
            },
            {
                "src": "secrets.j2",
                "dest": f"{folder}/{service['name']}/secrets",
                "vars": variables,
                "mode": "0600",
                "secret": True,
            },
        ]
    return items


def volumes(service: Service, folder: str) -> list[str]:
    """Return what is mounted into a service's container, as `source:destination:options`."""
    mounts = [f"{CA_FILE}:{CA_FILE}:ro"]
    if service["config_path"]:
        mounts.append(f"{folder}/{service['name']}/config:{service['config_path']}:ro")
    return mounts


def units(services: Iterable[Service], folder: str, slot: str) -> list[dict[str, Any]]:
    """Return the units of a bundle. What runs beside the live slot only is left to the activation."""
    return [
        {
            "name": unit_name(service["name"], slot),
            "state": "started" if service["activation"] == "always" else "unchanged",
            "on_change": "restart",
            "files": [f"{QUADLET_FOLDER}/{service['name']}-{slot}.container", f"{folder}/{service['name']}/*"],
        }
        for service in services
    ]


def ready_checks(services: Iterable[Service], slot: str) -> list[dict[str, Any]]:
    """Return a check of each service's health page on the host itself, for `smoke_check`."""
    return [
        {
            "name": f"{service['name']} is ready",
            "url": f"http://127.0.0.1:{service['ports'][service['health']['port']]['host'][slot]}"
            f"{service['health']['path']}",
            "expect": {"status": 200},
        }
        for service in services
        if service["health"] and service["activation"] == "always"
    ]


def live_only(catalogue: Mapping[str, Service], host: str, groups: Mapping[str, list[str]]) -> list[str]:
    """Return the names of the services of a host that run beside the live slot only.

    `groups` are hosts by group: a singleton runs on the first host of its service's group.
    """

    def runs_here(service: Service) -> bool:
        hosts = groups.get(service["group"], [])
        if service["activation"] == "singleton":
            return hosts[:1] == [host]
        return service["activation"] == "live_only" and host in hosts

    return sorted(name for name, service in catalogue.items() if runs_here(service))


def live_only_units(names: Iterable[str], live: str, other: str) -> list[dict[str, Any]]:
    """Units of the activation: the other slot's stop before the live slot's start, so that no job runs twice."""
    names = list(names)
    target = [{"name": "greenroom-live.target", "state": "started", "enabled": True, "on_change": "none"}]
    stopped = [{"name": unit_name(name, other), "state": "stopped", "files": []} for name in names]
    started = [{"name": unit_name(name, live), "state": "started", "on_change": "none", "files": []} for name in names]
    return [*stopped, *started, *target]


def edge_backends(catalogue: Mapping[str, Service]) -> list[dict[str, Any]]:
    """Return the backends that the edge needs for one slot: one for each port that a route names."""
    wanted = {(name, route["port"]) for name, service in catalogue.items() for route in service["routes"]}
    return [
        {
            "name": f"{name}_{port}",
            "group": catalogue[name]["group"],
            "host": catalogue[name]["ports"][port]["host"],
            "health": {
                "path": catalogue[name]["health"]["path"],
                "host": catalogue[name]["ports"][catalogue[name]["health"]["port"]]["host"],
            },
        }
        for name, port in sorted(wanted)
    ]


def edge_routes(catalogue: Mapping[str, Service]) -> list[dict[str, Any]]:
    """Return the routes of one slot, by path."""
    return sorted(
        (
            {
                "path": route["path"],
                "backend": f"{name}_{route['port']}",
                "limit": route["limit"],
                "auth": route["auth"],
            }
            for name, service in catalogue.items()
            for route in service["routes"]
        ),
        key=lambda route: str(route["path"]),
    )


def smoke_checks(catalogue: Mapping[str, Service], host: str, groups: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Return the smoke checks that run on `host`: each on the first host of the group in its `on` (default `ops`).

    One with `each`, a list of mappings, is there once for each of them, with their values in the place of `${key}`.
    """
    return [
        {key: _filled(value, values) for key, value in check.items() if key not in ("on", "each")}
        for _, service in sorted(catalogue.items())
        for check in service["checks"]
        if groups.get(check.get("on", "ops"), [])[:1] == [host]
        for values in check.get("each", [{}])
    ]


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """Return `value` with `${key}` replaced by the values of that name, in all texts within it; other ones stay."""
    if isinstance(value, str):
        for key, item in values.items():
            value = value.replace(f"${{{key}}}", str(item))
        return value
    if isinstance(value, Mapping):
        return {_filled(key, values): _filled(item, values) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(item, values) for item in value]
    return value
