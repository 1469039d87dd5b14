# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a description of a bundle may contain: other hosts' configuration is rendered from it.

Runs on the controller only (needs the jsonschema package).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import jsonschema

from ...switch.bluegreen import SLOTS
from ..catalogue.health_schema import HEALTH, HEALTH_KINDS
from ..catalogue.job_schema import HOOKS, JOB
from ..catalogue.route_schema import HOST_NAME, REDIRECT_STATUSES, SECURITY_HEADERS, SIZE
from ..catalogue.schema_terms import CALL, DATABASE, DURATION, HEADER_VALUE, MOUNT, NAME, PATH, PORT_NUMBER, VARIABLE
from ..catalogue.volumes import SHARED
from .description import Description

# A name of the inventory: a host or a group.
_MEMBER = {"type": "string", "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}\Z"}
# Where a port may be reached from: a group, an address or a network.
_SOURCE = {"type": "string", "pattern": r"^[A-Za-z0-9_.:/-]+\Z"}
_WORD = {"type": "string", "pattern": r"^[\w.+ -]{1,128}\Z"}
_IMAGE = {"type": "string", "pattern": r"^[\w./:@-]+\Z"}


def _map(names: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "propertyNames": names, "additionalProperties": values}


def _maybe(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"type": "null"}, schema]}


def _list(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def _with(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


_PORT = _with(
    {
        "container": PORT_NUMBER,
        "host": _map({"enum": list(SLOTS)}, PORT_NUMBER),
        "from": _list(_SOURCE),
        "bind": {"enum": ["0.0.0.0", "127.0.0.1"]},
    }
)
_PAGE = _with({"port": NAME, "path": PATH})
_HEALTH = {
    **HEALTH,
    "oneOf": [{"required": [kind, "port"] if "port" in own else [kind]} for kind, own in HEALTH_KINDS.items()],
}
_HOSTS = _list({"type": "string", "pattern": rf"^{HOST_NAME}\Z"})
_ROUTE = _with(
    {"path": PATH, "port": NAME, "limit": _WORD, "auth": {"type": "boolean"}},
    exclude=_list(PATH),
    timeout=_maybe(DURATION),
    hosts=_HOSTS,
    strip={"type": "boolean"},
    body=_maybe(SIZE),
    sticky={"type": "boolean"},
    http2={"type": "boolean"},
    client_certificate=_maybe({"enum": ["required"]}),
)
_VOLUME = _with(
    {"path": MOUNT, "shared": {"enum": list(SHARED)}, "owner": NAME, "user": {"type": ["integer", "string"]}},
    read_only={"type": "boolean"},
    per_host={"type": "boolean"},
    commands={"type": "boolean"},
)
_REDIRECT = _with(
    {
        "hosts": _HOSTS,
        "path": PATH,
        "to": {"type": "string", "pattern": r"^(?:https?://[A-Za-z0-9.-]+(?::\d+)?)?(?:/[!-~]*)?\Z"},
        "status": {"enum": REDIRECT_STATUSES},
    }
)
_TCP_ROUTE = _with({"listen": PORT_NUMBER, "hosts": _HOSTS, "port": NAME}, timeout=_maybe(DURATION))
_WORDS = _list({"type": "string"})
# Timers are made of it.
_CALENDAR = {"type": "string", "pattern": r"^[A-Za-z0-9*.,/:~ _+-]{1,600}\Z"}
_JOB = _with({"calendar": _list(_CALENDAR), "timeout": DURATION, "persistent": {"type": "boolean"}})
_SERVICE = _with(
    {
        "name": NAME,
        "image": NAME,
        "group": _MEMBER,
        "activation": {"enum": ["always", "live_only", "singleton"]},
        "database": _maybe(DATABASE),
        "secrets": _map({"pattern": VARIABLE[0]}, _map({"pattern": r"^[a-z_]+\Z"}, _maybe(NAME))),
        "health": _maybe(_HEALTH),
        "metrics": _maybe(_PAGE),
        "routes": _list(_ROUTE),
        "ports": _map(NAME, _PORT),
    },
    calls=_list(CALL),
    redirects=_list(_REDIRECT),
    tcp_routes=_list(_TCP_ROUTE),
    headers=_map({"enum": list(SECURITY_HEADERS)}, HEADER_VALUE),
    volumes=_map(NAME, _VOLUME),
    schedule=_map(JOB, _JOB),
    hooks=_map({"enum": list(HOOKS)}, _WORDS),
    console=_WORDS,
    entry_arguments=_WORDS,
)
_SCHEMA = _with(
    {
        "slot": {"enum": list(SLOTS)},
        "release": _WORD,
        "images": _map(NAME, _IMAGE),
        "hosts": _map(_MEMBER, _list(_with({"name": _MEMBER, "address": {"type": "string", "format": "ip"}}))),
        "services": _map(NAME, _SERVICE),
        "checks": _list({"type": "object"}),
    },
    id=_WORD,
    toggles=_map({"pattern": r"^[a-z][a-z0-9_]*\Z"}, {"type": "boolean"}),
    signature={"type": "string"},
)

_FORMATS = jsonschema.FormatChecker(formats=())


def _is_address(value: object) -> bool:
    ipaddress.ip_address(str(value))
    return True


_FORMATS.checks("ip", raises=ValueError)(_is_address)
_VALIDATOR = jsonschema.Draft202012Validator(_SCHEMA, format_checker=_FORMATS)


def problem(description: Description) -> str:
    """Return the first key of a description that is not as a controller writes it, "" if there is none.

    The value is not part of the text: it comes from a host.
    """
    error = jsonschema.exceptions.best_match(_VALIDATOR.iter_errors(description))
    if error is not None:
        return f"{error.json_path.removeprefix('$.')} is not valid"
    services = description["services"]
    for name, service in services.items():
        if service["name"] != name:
            return f"services.{name}.name is not valid"
        for key, pages in (
            ("routes", service["routes"]),
            ("tcp_routes", service.get("tcp_routes", [])),
            ("health", [service["health"]]),
        ):
            if any(page and "port" in page and page["port"] not in service["ports"] for page in pages):
                return f"services.{name}.{key} names a port that the service doesn't have"
        for call in service.get("calls", []):
            called, _, port = call.partition(".")
            if port not in services.get(called, {"ports": {}})["ports"]:
                return f"services.{name}.calls names a port that no service has"
    return ""
