# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The schema of service.yml. Each problem is reported as one line with its key.

Runs only on the controller (needs the jsonschema package).
"""

from __future__ import annotations

from collections.abc import Mapping

import jsonschema

from .canary_schema import CANARY
from .health_schema import HEALTH, health_errors
from .image_schema import CAPABILITIES, CPUS, ENTRYPOINT, SIZE, ULIMITS, USER, WRITABLE
from .job_schema import HOOK_COMMANDS, SCHEDULE
from .route_schema import HEADERS, REDIRECT, ROUTE, TCP_ROUTE
from .schema_errors import lines
from .schema_terms import CALL, DATABASE, MOUNT, NAME, PAGE, PORT_NUMBER, VARIABLE, WORDS, mapping, named, text
from .secret_schema import CACHE, DATABASES, EXTENSIONS, FIELD, SECRET, secret_errors
from .volume_schema import VOLUMES

# A value, or what a provider has: its address or another field that is not secret.
ENVIRONMENT_VALUE = {
    "type": ["string", "number", "boolean", "object"],
    "if": {"type": "object"},
    "then": mapping(
        {"provider": NAME, "field": FIELD, "default": {"type": ["string", "number", "boolean"]}}, ["provider"]
    ),
}
SCHEMA = mapping(
    {
        "image": NAME,
        "group": {"type": "string"},
        "activation": {"enum": ["always", "live_only", "singleton"]},
        "entrypoint": ENTRYPOINT,
        "command": WORDS,
        "user": USER,
        "userns": {"type": "boolean"},
        "capabilities": CAPABILITIES,
        "writable": WRITABLE,
        "shm": SIZE,
        "ulimits": ULIMITS,
        "memory": SIZE,
        "cpus": CPUS,
        "stop_timeout": {"type": "integer", "minimum": 0},
        "ports": named(
            mapping(
                {"container": PORT_NUMBER, "host": PORT_NUMBER, "from": {"type": "array", "items": {"type": "string"}}},
                ["container", "from"],
            ),
            r"^[a-z][a-z0-9_]*\Z",
            "a name of lowercase letters, digits and _",
        ),
        "database": DATABASE,
        "databases": DATABASES,
        "extensions": EXTENSIONS,
        "cache": CACHE,
        "migrate": WORDS,
        "prepare": WORDS,
        "seed": WORDS,
        "schedule": SCHEDULE,
        "hooks": HOOK_COMMANDS,
        "console": WORDS,
        "heads": text(r"\S", "a query"),
        "queues": named(
            mapping({"delivery_limit": {"type": "integer", "minimum": 1}}), NAME["pattern"], NAME["description"]
        ),
        "publishes": {"type": "array", "items": NAME},
        "secrets": named(SECRET, *VARIABLE),
        "providers": {"type": "array", "items": NAME},
        "environment": named(ENVIRONMENT_VALUE, *VARIABLE),
        "toggles": named(
            mapping(
                {
                    "description": text(r"\S", "a text"),
                    "default": {"type": "boolean"},
                    "variable": text(*VARIABLE),
                },
                ["description", "variable"],
            ),
            r"^[a-z][a-z0-9_]{0,39}\Z",
            "a name of lowercase letters, digits and _",
        ),
        "config_path": MOUNT,
        "config_of": NAME,
        "volumes": VOLUMES,
        "health": HEALTH,
        "metrics": PAGE,
        "calls": {"type": "array", "items": CALL},
        "identities": NAME,
        "load": mapping({"toggle": {"type": "string"}}),
        "canary": CANARY,
        "routes": {"type": "array", "items": ROUTE},
        "redirects": {"type": "array", "items": REDIRECT},
        "tcp_routes": {"type": "array", "items": TCP_ROUTE},
        "headers": HEADERS,
    },
    ["image"],
)


def _is_integer(_checker: object, value: object) -> bool:
    # JSON Schema accepts 1.0 as an integer, but it is not a valid port or user ID.
    return isinstance(value, int) and not isinstance(value, bool)


_VALIDATOR = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)(SCHEMA)


def structure_errors(raw: object) -> list[str]:
    """Return the problems of the content of one service.yml, as `<key>: <problem>`."""
    errors = sorted(
        _VALIDATOR.iter_errors(raw), key=lambda error: ([str(part) for part in error.absolute_path], error.validator)
    )
    found = list(dict.fromkeys(line for error in errors for line in lines(error)))
    secrets = raw.get("secrets") if isinstance(raw, Mapping) else None
    found += secret_errors(secrets)
    return [*found, *health_errors(raw.get("health") if isinstance(raw, Mapping) else None)]
