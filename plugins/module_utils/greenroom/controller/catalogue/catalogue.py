# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The catalog: the content of `services/<name>/service.yml`, with all defaults filled in.

Loading never fails on invalid content: `service_schema` reports it, with file and key, before any host is changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import route_values
from .container_user import host_user
from .job_schema import scheduled
from .secret_schema import SECRET_KINDS
from .volumes import lender, volumes_of

# Container port 4433 is published as 14433 in blue and 24433 in green, unless the service sets blue's port.
BLUE_OFFSET = 10000
GREEN_OFFSET = 10000
# After so many deliveries, a job goes to the dead-letter queue.
DELIVERY_LIMIT = 20
# What a secret may say besides its kind, its name and its owner.
_SECRET_KEYS = ("file", "form", "part", "options", "field", "optional")
DEFAULTS: dict[str, Any] = {
    "image": "",
    "group": "app",
    "activation": "always",
    "entrypoint": [],
    "command": [],
    "user": 1000,
    "userns": None,
    "capabilities": [],
    "writable": {},
    "shm": None,
    "ulimits": {},
    "memory": "256M",
    "cpus": None,
    "stop_timeout": 15,
    "ports": {},
    "database": None,
    "databases": {},
    "extensions": [],
    "cache": None,
    "migrate": [],
    "prepare": [],
    "seed": [],
    "schedule": {},
    "hooks": {},
    "console": [],
    "heads": None,
    "queues": {},
    "publishes": [],
    "providers": [],
    "secrets": {},
    "environment": {},
    "toggles": {},
    "config_path": None,
    "config_of": None,
    "volumes": {},
    "health": None,
    "metrics": None,
    "calls": [],
    "identities": None,
    "load": None,
    "canary": None,
    "routes": [],
    "redirects": [],
    "tcp_routes": [],
    "headers": {},
}


def _mapping(value: object) -> Mapping[str, Any]:
    """Return `value` if it is a mapping, otherwise an empty one."""
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    """Return `value` if it is a list, otherwise an empty one."""
    return list(value) if isinstance(value, list) else []


def host_ports(port: Mapping[str, Any]) -> dict[str, int]:
    """Return the published port of each slot: {blue: int, green: int}; empty if the port number is invalid."""
    container, blue = port.get("container"), port.get("host")
    if blue is None and isinstance(container, int):
        blue = container + BLUE_OFFSET
    return {"blue": blue, "green": blue + GREEN_OFFSET} if isinstance(blue, int) else {}


def _port(raw: object) -> dict[str, Any]:
    port = _mapping(raw)
    sources = _list(port.get("from"))
    return {
        "container": port.get("container"),
        "from": sources,
        "host": host_ports(port),
        # A port without sources is not bound to the network.
        "bind": "0.0.0.0" if sources else "127.0.0.1",
    }


def _secret(raw: object, service: str) -> dict[str, Any]:
    secret = _mapping(raw)
    kind = next((kind for kind in SECRET_KINDS if kind in secret), None)
    more = {key: secret[key] for key in _SECRET_KEYS if secret.get(key) is not None}
    return {"kind": kind, "name": secret.get(kind) if kind else None, "owner": secret.get("of") or service, **more}


def _extensions(raw: object) -> list[dict[str, Any]]:
    """Return extensions as [{name, package}]; the package is None unless the service names it."""
    items = [item if isinstance(item, Mapping) else {"name": item} for item in _list(raw)]
    return [{"name": item.get("name"), "package": item.get("package")} for item in items]


def _cache(raw: object, service: str) -> dict[str, Any] | None:
    if not isinstance(raw, Mapping):
        return None
    return {"prefix": raw.get("prefix", f"{service}:"), "slots": raw.get("slots", "shared")}


def _databases(raw: object) -> dict[str, Any]:
    """Return the further databases of a service as {name: {extensions}}, also from a list of names."""
    given = raw if isinstance(raw, Mapping) else {name: {} for name in _list(raw) if isinstance(name, str)}
    return {name: {"extensions": _extensions(_mapping(value).get("extensions"))} for name, value in given.items()}


def _with_logins(catalogue: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mark the logins of further databases, in the catalog: each has a secret of its own."""
    for service in catalogue.values():
        for secret in service["secrets"].values():
            # What is not text is reported later.
            owner, name = str(secret["owner"]), str(secret["name"])
            if secret["kind"] == "login" and name in catalogue.get(owner, {}).get("databases", ()):
                secret["further"] = True
    return catalogue


def _toggle(raw: object) -> dict[str, Any]:
    toggle = _mapping(raw)
    return {
        "description": toggle.get("description"),
        "default": toggle.get("default") is True,
        "variable": toggle.get("variable"),
    }


def _canary(raw: object, metrics: object) -> dict[str, Any] | None:
    if not isinstance(raw, Mapping):
        return None
    metric = raw.get("metric")
    page = {key: _mapping(metrics).get(key) for key in ("port", "path")}
    return {
        "probes": _list(raw.get("probes")),
        "metric": page | dict(metric) if isinstance(metric, Mapping) else None,
        "steps": _list(raw.get("steps")),
        "step_seconds": raw.get("step_seconds"),
        "limits": dict(_mapping(raw.get("limits"))),
        "queries": _list(raw.get("queries")),
    }


def normalise(name: str, raw: object, folder: str) -> dict[str, Any]:
    """Return service `name` with all defaults filled in.

    `raw` is the content of service.yml (anything; invalid parts are omitted), `folder` the service's absolute path.
    Shapes: `ports.<p>` = {container, from, bind, host: {blue, green}}; `secrets.<ENV>` = {kind, name, owner} and
    those of {file, form, part, options, field, optional} that are set; `databases.<d>` = {extensions};
    `cache` = {prefix, slots}; `extensions[]` = {name, package};
    `routes[]`, `redirects[]` and `tcp_routes[]`: see route_values;
    `canary` = {probes, metric: {name, port, path}, steps, step_seconds, limits, queries: [{name, query, above or
    below}]}; `queues.<q>` = {delivery_limit}; `toggles.<t>` = {description, default, variable};
    `schedule.<job>` = {command, at, calendar, timeout, persistent}.
    """
    given = _mapping(raw)
    service = DEFAULTS | {key: given[key] for key in DEFAULTS if given.get(key) is not None}
    ports = {port: _port(value) for port, value in _mapping(service["ports"]).items()}
    config_of = service["config_of"] or name
    ids_of = lender(service["volumes"]) or name
    return service | {
        "name": name,
        "ids_of": ids_of,
        "folder": folder,
        "user_given": given.get("user") is not None,
        "entrypoint": _list(service["entrypoint"]),
        "capabilities": _list(service["capabilities"]),
        "writable": dict(_mapping(service["writable"])),
        "ulimits": dict(_mapping(service["ulimits"])),
        "ports": ports,
        "queues": {
            queue: {"delivery_limit": DELIVERY_LIMIT, **_mapping(value)}
            for queue, value in _mapping(service["queues"]).items()
        },
        "databases": _databases(service["databases"]),
        "extensions": _extensions(service["extensions"]),
        "cache": _cache(service["cache"], name),
        "publishes": _list(service["publishes"]),
        "calls": _list(service["calls"]),
        "providers": _list(service["providers"]),
        "secrets": {variable: _secret(value, name) for variable, value in _mapping(service["secrets"]).items()},
        "environment": dict(_mapping(service["environment"])),
        "headers": dict(_mapping(service["headers"])),
        "schedule": scheduled(service["schedule"]),
        "hooks": {hook: _list(words) for hook, words in _mapping(service["hooks"]).items()},
        "console": _list(service["console"]),
        "toggles": {toggle: _toggle(value) for toggle, value in _mapping(service["toggles"]).items()},
        "routes": [route_values.route(_mapping(route), ports) for route in _list(service["routes"])],
        "redirects": [route_values.redirect(_mapping(each)) for each in _list(service["redirects"])],
        "tcp_routes": [route_values.tcp_route(_mapping(each), ports) for each in _list(service["tcp_routes"])],
        "canary": _canary(service["canary"], service["metrics"]),
        "config_of": config_of,
        "volumes": volumes_of(service["volumes"], name, host_user({**service, "name": name, "ids_of": ids_of})),
        "has_config": os.path.isdir(os.path.join(os.path.dirname(folder), str(config_of), "config")),
        "checks": [],
    }


def is_folder(entry: os.DirEntry[str] | Path) -> bool:
    """Whether this is the folder of a service: it is not hidden."""
    return entry.is_dir() and not entry.name.startswith(".")


def folders(services_path: str) -> dict[str, str]:
    """Return {service: absolute folder} for each folder in `services_path` that has a service.yml.

    A hidden folder, such as .git, is none of a service.
    """
    if not os.path.isdir(services_path):
        return {}
    found = {entry.name: os.path.abspath(entry.path) for entry in os.scandir(services_path) if is_folder(entry)}
    return {name: found[name] for name in sorted(found) if os.path.isfile(os.path.join(found[name], "service.yml"))}


def load(services_path: str, read: Callable[[str], Any]) -> dict[str, dict[str, Any]]:
    """Return the catalog in `services_path` as {name: normalized service}.

    `read` loads a YAML file by its absolute path. If it can't be parsed, `read` raises an error that names the file.
    """
    catalogue = {}
    for name, folder in folders(services_path).items():
        catalogue[name] = normalise(name, read(os.path.join(folder, "service.yml")), folder)
        checks = os.path.join(folder, "checks.yml")
        if os.path.isfile(checks):
            catalogue[name]["checks"] = _list(read(checks))
    return _with_logins(catalogue)
