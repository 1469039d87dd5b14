# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The schema of service.yml. Each problem is reported as one line with its key.

Runs only on the controller (needs the jsonschema package).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jsonschema

from ...common.names import suggestion
from .catalogue import SECRET_KINDS


def _text(pattern: str, description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern, "description": description}


NAME = _text(r"^[a-z][a-z0-9_-]{0,39}\Z", "a name of lowercase letters, digits, - and _")
DATABASE = _text(r"^[a-z][a-z0-9_]{0,50}\Z", "a name of lowercase letters, digits and _")
# Several configuration files contain the path, and these characters have a meaning there.
PATH = _text(r"""^/[^\s#"'\\]*\Z""", "a path that starts with / and has no space, #, \\ or quotation mark")
# The edge refuses paths that a service may read as another one. A route with such a path would serve nobody.
PUBLIC_PATH = _text(
    r"^/(?!.*//)(?!(?:.*/)?\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&()*+,=:@/-]*\Z",
    "a path that starts with /, of letters, digits and ._~!$&()*+,=:@-, without // and the parts . and ..",
)
# Those that the edge sets if the service sends none.
SECURITY_HEADERS = (
    *("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy"),
)
# HAProxy's configuration contains the value in quotation marks.
HEADER_VALUE = _text(r"^[ !#%-\[\]-~]*\Z", 'a text of ASCII characters without ", \\ and $')
# What HAProxy waits for can take long, but nothing waits for days.
DURATION = _text(r"^[1-9]\d{0,4}[smh]\Z", "a time such as 90s, 30m or 4h")
# Podman and systemd read the mount, and give other characters a meaning.
MOUNT = _text(r"^/[A-Za-z0-9_./-]*\Z", "a path that starts with / and has only letters, digits, -, _, . and /")
CALL = _text(
    r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9_]*\Z", "the name of a service, a dot and one of its ports, such as kratos.admin"
)
WORDS = {"type": "array", "items": {"type": "string"}}
PORT_NUMBER = {"type": "integer", "minimum": 1, "maximum": 65535}


def _object(properties: dict[str, Any], required: Iterable[str] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _named(value: dict[str, Any], pattern: str, description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": {"type": "string", "pattern": pattern, "description": description},
        "additionalProperties": value,
    }


_VARIABLE = (r"^[A-Z][A-Z0-9_]*\Z", "a name of uppercase letters, digits and _")
_PAGE = _object({"port": NAME, "path": PATH}, ["port", "path"])
HEALTH = _object(
    {
        "port": NAME,
        "path": PATH,
        "method": {"enum": ["GET", "HEAD", "OPTIONS"]},
        "status": {"type": "integer", "minimum": 200, "maximum": 599},
        "headers": _named(HEADER_VALUE, r"^[A-Za-z0-9-]{1,64}\Z", "a name of letters, digits and -"),
        "tcp": {"const": True},
        "grpc": {"const": True},
        "service": _text(r"^[A-Za-z0-9_.-]{1,100}\Z", "a name of letters, digits, _, . and -"),
        "command": WORDS | {"minItems": 1},
        "start_period": {"type": "integer", "minimum": 1, "maximum": 3600},
    }
)
# What a health check is made of: one of these keys, and the keys that go with it.
HEALTH_KINDS: dict[str, tuple[str, ...]] = {
    "path": ("port", "method", "status", "headers"),
    "tcp": ("port",),
    "grpc": ("port", "service"),
    "command": (),
}
_METRIC = _object(
    {"name": _text(r"^[a-zA-Z_:][a-zA-Z0-9_:]*\Z", "a metric name"), "port": NAME, "path": PATH}, ["name"]
)
_POSITIVE = {"type": "number", "minimum": 0}
_FRACTION = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
_LIMITS = _object(
    {
        "minimum": {"type": "integer", "minimum": 1},
        "alpha": _FRACTION,
        "error_margin": _POSITIVE,
        "refused_margin": _POSITIVE,
        "latency_factor": {"type": "number", "minimum": 1},
        "latency_ms": _POSITIVE,
        "metric_drop": _FRACTION,
    }
)
_QUERY = _object(
    {
        "name": _text(r"\S", "a text"),
        "query": _text(r"\$slot", "a query with $slot, which stands for the candidate's slot"),
        "above": {"type": "number"},
        "below": {"type": "number"},
    },
    ["name", "query"],
)
_CANARY = _object(
    {
        "probes": {"type": "array", "items": PATH},
        "metric": _METRIC,
        "steps": {"type": "array", "items": {"type": ["integer", "string"]}},
        "step_seconds": {"type": "integer", "minimum": 1},
        "limits": _LIMITS,
        "queries": {"type": "array", "items": _QUERY},
    }
)
_ROUTE = _object(
    {
        "path": PUBLIC_PATH,
        "exclude": {"type": "array", "items": PUBLIC_PATH},
        "port": NAME,
        "limit": {"type": "string"},
        "auth": {"type": "boolean"},
        "timeout": DURATION,
    },
    ["path"],
)

SCHEMA = _object(
    {
        "image": NAME,
        "group": {"type": "string"},
        "activation": {"enum": ["always", "live_only", "singleton"]},
        "command": WORDS,
        # Not nobody: what else runs as nobody could read the container's environment.
        "user": {"type": "integer", "minimum": 1000, "maximum": 65533},
        "memory": _text(r"^[1-9]\d*[KMG]\Z", "a size like 256M or 1G"),
        "stop_timeout": {"type": "integer", "minimum": 0},
        "ports": _named(
            _object(
                {"container": PORT_NUMBER, "host": PORT_NUMBER, "from": {"type": "array", "items": {"type": "string"}}},
                ["container", "from"],
            ),
            r"^[a-z][a-z0-9_]*\Z",
            "a name of lowercase letters, digits and _",
        ),
        "database": DATABASE,
        "migrate": WORDS,
        "prepare": WORDS,
        "seed": WORDS,
        "heads": _text(r"\S", "a query"),
        "queues": _named(
            _object({"delivery_limit": {"type": "integer", "minimum": 1}}), NAME["pattern"], NAME["description"]
        ),
        "publishes": {"type": "array", "items": NAME},
        "secrets": _named(
            _object({"login": DATABASE, "broker": NAME, "ring": NAME, "value": NAME, "of": NAME}), *_VARIABLE
        ),
        "environment": _named({"type": ["string", "integer"]}, *_VARIABLE),
        "toggles": _named(
            _object(
                {
                    "description": _text(r"\S", "a text"),
                    "default": {"type": "boolean"},
                    "variable": _text(*_VARIABLE),
                },
                ["description", "variable"],
            ),
            r"^[a-z][a-z0-9_]{0,39}\Z",
            "a name of lowercase letters, digits and _",
        ),
        "config_path": MOUNT,
        "config_of": NAME,
        "health": HEALTH,
        "metrics": _PAGE,
        "calls": {"type": "array", "items": CALL},
        "identities": NAME,
        "load": _object({"toggle": {"type": "string"}}),
        "canary": _CANARY,
        "routes": {"type": "array", "items": _ROUTE},
        "headers": _object(dict.fromkeys(SECURITY_HEADERS, HEADER_VALUE)),
    },
    ["image"],
)

_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "object": "a mapping",
    "string": "a string",
}


def _is_integer(_checker: object, value: object) -> bool:
    # JSON Schema accepts 1.0 as an integer, but it is not a valid port or user ID.
    return isinstance(value, int) and not isinstance(value, bool)


_VALIDATOR = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)(SCHEMA)


def _key(path: Iterable[str | int], *more: str) -> str:
    """Return a path in the usual notation: `routes[0].port`."""
    text = ""
    for part in [*path, *more]:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _lines(error: jsonschema.ValidationError) -> list[str]:
    """Return `<key>: <problem>` lines for one violation of the schema."""
    where, value, path = _key(error.absolute_path), error.instance, list(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            known = error.schema["properties"]
            unknown = [str(key) for key in value if key not in known]
            return [f"{_key(path, key)}: unknown key{suggestion(key, known)}" for key in unknown]
        case "required":
            return [f"{_key(path, key)}: missing" for key in error.validator_value if key not in value]
        case "type":
            wanted = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
            hint = "; write it to Vault, and name it in `secrets`" if _is_encrypted(value) else ""
            what = f"expected {' or '.join(_KINDS[kind] for kind in wanted)}, got {_shown(value)}{hint}"
        case "enum":
            what = f"unknown value {_shown(value)}{suggestion(str(value), error.validator_value)}"
        case "minimum":
            what = f"{value} is too small; the minimum is {error.validator_value}"
        case "const":
            what = "can only be true; leave it out instead"
        case "minItems":
            what = "is empty"
        case "maximum":
            what = f"{value} is too large; the maximum is {error.validator_value}"
        case "exclusiveMinimum":
            what = f"{value} is too small; it must be above {error.validator_value}"
        case "exclusiveMaximum":
            what = f"{value} is too large; it must be below {error.validator_value}"
        case _:
            # It may be the secret itself, written in place of its name.
            shown = "the value" if path[:1] == ["secrets"] else _shown(value)
            what = f"{shown} is not {error.schema['description']}"
    return [f"{where}: {what}" if where else what]


def _is_encrypted(value: object) -> bool:
    # A value with the tag !vault is of a type of Ansible, whose text is the decrypted value.
    return not isinstance(value, (str, int, float, list, Mapping, type(None)))


def _shown(value: object) -> str:
    if _is_encrypted(value):
        return "an encrypted value"
    if isinstance(value, (list, Mapping)):
        return _KINDS["array" if isinstance(value, list) else "object"]
    return f'"{value}"' if isinstance(value, str) else "nothing" if value is None else str(value)


def structure_errors(raw: object) -> list[str]:
    """Return the problems of the content of one service.yml, as `<key>: <problem>`."""
    errors = sorted(
        _VALIDATOR.iter_errors(raw), key=lambda error: ([str(part) for part in error.absolute_path], error.validator)
    )
    lines = list(dict.fromkeys(line for error in errors for line in _lines(error)))
    secrets = raw.get("secrets") if isinstance(raw, Mapping) else None
    for variable, secret in (secrets if isinstance(secrets, Mapping) else {}).items():
        if isinstance(secret, Mapping) and sum(kind in secret for kind in SECRET_KINDS) != 1:
            lines.append(f"secrets.{variable}: needs exactly one of {', '.join(SECRET_KINDS)}")
    return [*lines, *health_errors(raw.get("health") if isinstance(raw, Mapping) else None)]


def health_errors(health: object) -> list[str]:
    """Return the problems between the keys of `health`, as `<key>: <problem>`."""
    if not isinstance(health, Mapping):
        return []
    found = [kind for kind in HEALTH_KINDS if kind in health]
    if len(found) != 1:
        return [f"health: needs exactly one of {', '.join(HEALTH_KINDS)}"]
    [kind] = found
    own = HEALTH_KINDS[kind]
    lines = ["health.port: missing"] if "port" in own and "port" not in health else []
    for key in (key for keys in HEALTH_KINDS.values() for key in keys):
        if key in health and key not in own:
            lines.append(f"health.{key}: has no meaning with `{kind}`; remove it")
    return list(dict.fromkeys(lines))
