# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a slot's bundle consists of: files, mounts, units and health checks, computed from the catalogue.

A service here is one value of the variable ``catalogue``: a mapping with every default filled in. A description is
what a bundle says about its slot as a whole, for those who have to do with both slots (the edge, the firewall, the
database, smoke checks, the activation); it lies on each of the slot's hosts. Nothing here reads a file or asks a host.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Service = Mapping[str, Any]
Description = Mapping[str, Any]
Groups = Mapping[str, Sequence[str]]

QUADLET_FOLDER = "/etc/containers/systemd"
CA_FILE = "/etc/greenroom/ca.crt"
SLOTS = ("blue", "green")
# What others must know of a service; its `ports` come in addition.
DESCRIBED = ("name", "image", "group", "activation", "database", "secrets", "health", "metrics", "routes")


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


def units(services: Iterable[Service], folder: str, slot: str, followers: str = "unchanged") -> list[dict[str, Any]]:
    """Return the units of a bundle. The state of `followers`, which run beside the live slot, is the activation's.

    But those of a candidate are to be `stopped`: a cut-over that died may have left them running there.
    """
    return [
        {
            "name": unit_name(service["name"], slot),
            "state": "started" if service["activation"] == "always" else followers,
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


def describe(
    catalogue: Mapping[str, Service],
    slot: str,
    release: Mapping[str, Any],
    members: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Return what a bundle says about its slot; the same on all of its hosts.

    `release` = {name, images: {image: reference}}, `members` = {group: {host: address}}. The answer: {slot, release,
    images, hosts: {group: [{name, address}]}, services: {name: as in the catalogue, but with what others must know
    only, and with the slot's own ports}, checks: [smoke checks, see `checks`]}.
    """
    services = {
        name: {key: _filled(service[key], {}) for key in DESCRIBED}
        | {
            "ports": {
                port: _filled(value, {}) | {"host": {slot: value["host"][slot]}}
                for port, value in service["ports"].items()
            }
        }
        for name, service in sorted(catalogue.items())
    }
    groups = sorted({service["group"] for service in services.values()})
    return {
        "slot": slot,
        "release": release["name"],
        "images": {service["image"]: release["images"][service["image"]] for service in services.values()},
        "hosts": {
            group: [{"name": host, "address": address} for host, address in members.get(group, {}).items()]
            for group in groups
        },
        "services": services,
        "checks": checks(catalogue),
    }


def description_file(description: Description, folder: str) -> dict[str, str]:
    """Return the file that holds a slot's description: a local fact of the host, as Ansible reads it."""
    content = json.dumps(description, indent=1, default=str)
    return {"dest": f"{folder}.fact", "content": f"{content}\n", "mode": "0600"}


def descriptions(texts: Iterable[str]) -> dict[str, Any]:
    """Return {slot: description} from what lies on hosts, one text a host: of each slot the first that can be read."""
    found: dict[str, Any] = {}
    for text in texts:
        for description in _facts(text):
            if description.get("slot") in SLOTS and "services" in description:
                found.setdefault(description["slot"], description)
    return found


def stops(texts: Mapping[str, str]) -> list[str]:
    """Return the hosts on which a slot is to be stopped, or was, from what lies on each: {host: text}."""
    return [host for host, text in texts.items() if any("at" in fact and "units" in fact for fact in _facts(text))]


def _facts(text: str) -> Iterator[dict[str, Any]]:
    """Yield the facts of a host, whose files follow each other; any may be missing or damaged."""
    for part in re.split(r"^(?=\{)", text, flags=re.M):
        with contextlib.suppress(ValueError):
            fact = json.loads(part)
            if isinstance(fact, dict):
                yield fact


def description_of(bundles: Mapping[str, Description], slot: str, catalogue: Mapping[str, Service]) -> Description:
    """Return a slot's description; where its bundle has none, the catalogue stands in for it."""
    return bundles.get(slot) or {"slot": slot, "services": catalogue, "hosts": {}}


def live_only(description: Description, host: str, groups: Groups) -> list[str]:
    """Return the names of the slot's services that run on `host` when, and only when, the slot is live.

    `groups` are hosts by group: a singleton runs on the first host of its group that the slot has.
    """

    def runs_here(service: Service) -> bool:
        hosts = groups.get(service["group"], [])
        if service["activation"] == "singleton":
            own = [member["name"] for member in description["hosts"].get(service["group"], [])]
            return [name for name in hosts if name in own or not own][:1] == [host]
        return service["activation"] == "live_only" and host in hosts

    return sorted(name for name, service in description["services"].items() if runs_here(service))


def live_only_units(live: Description, other: Description, host: str, groups: Groups) -> list[dict[str, Any]]:
    """Units of the activation: the other slot's stop before the live slot's start, so that no job runs twice.

    Each side's are those that its own bundle has.
    """
    idle = sorted(name for name, service in other["services"].items() if service["activation"] != "always")
    target = [{"name": "greenroom-live.target", "state": "started", "enabled": True, "on_change": "none"}]
    stopped = [{"name": unit_name(name, other["slot"]), "state": "stopped", "files": []} for name in idle]
    started = [
        {"name": unit_name(name, live["slot"]), "state": "started", "on_change": "none", "files": []}
        for name in live_only(live, host, groups)
    ]
    return [*stopped, *started, *target]


def slot_services(description: Description, host: str, groups: Groups) -> list[Service]:
    """Return the services that a slot has on `host`, by name: on the hosts that its own bundle knows."""

    def is_here(service: Service) -> bool:
        own = [member["name"] for member in description["hosts"].get(service["group"], [])]
        return host in (own or groups.get(service["group"], []))

    return [service for _, service in sorted(description["services"].items()) if is_here(service)]


def slot_units(description: Description, host: str, groups: Groups) -> list[str]:
    """Return the names of all units that a slot has on `host`."""
    return [unit_name(service["name"], description["slot"]) for service in slot_services(description, host, groups)]


def slot_started(description: Description, host: str, groups: Groups) -> list[dict[str, Any]]:
    """Return the units that run in a slot whether it is live or not, each to be started where it does not run."""
    return [
        {"name": unit_name(service["name"], description["slot"]), "state": "started", "on_change": "none", "files": []}
        for service in slot_services(description, host, groups)
        if service["activation"] == "always"
    ]


def edge_backends(description: Description) -> list[dict[str, Any]]:
    """Return the backends that the edge needs for a slot, {name, port, health: {path, port}, hosts: [{name, address}]}.

    There is one for each port that a route names.
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
    """Return the routes of a slot, by path."""
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


def checks(catalogue: Mapping[str, Service]) -> list[dict[str, Any]]:
    """Return all smoke checks, each with the group that it runs from in `on` (default `ops`).

    One with `each`, a list of mappings, is there once for each of them, with their values in the place of `${key}`.
    """
    return [
        {"on": check.get("on", "ops")}
        | {key: _filled(value, values) for key, value in check.items() if key not in ("on", "each")}
        for _, service in sorted(catalogue.items())
        for check in service["checks"]
        for values in check.get("each", [{}])
    ]


def smoke_checks(checks_of_slot: Iterable[Mapping[str, Any]], host: str, groups: Groups) -> list[dict[str, Any]]:
    """Return the checks of a slot that run on `host`: each on the first host of the group in its `on`."""
    return [
        {key: value for key, value in check.items() if key != "on"}
        for check in checks_of_slot
        if groups.get(check["on"], [])[:1] == [host]
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
