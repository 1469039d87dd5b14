# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The part of the schema of service.yml that says how an image runs: user, entry point, rights, sizes, own tmpfs.

Runs only on the controller (needs the jsonschema package).
"""

from __future__ import annotations

import jsonschema

from .schema_errors import lines
from .schema_terms import MOUNT, WORDS, mapping, named, text

_USER = r"([a-z_][a-z0-9_-]{0,31}|0|[1-9]\d{0,4})"
SIZE = text(r"^[1-9]\d*[KMG]\Z", "a size like 256M or 1G")
CPUS = {"type": "number", "exclusiveMinimum": 0, "maximum": 1024}
USER = {
    "type": ["integer", "string"],
    "minimum": 0,
    "maximum": 65535,
    **{key: value for key, value in text(rf"^{_USER}(:{_USER})?\Z", "").items() if key == "pattern"},
    "description": "a user's number or name, or user:group, such as 1000, www-data or 999:1000",
}
# The program goes to Podman outside of the quotes that arguments have.
ENTRYPOINT = {
    "type": "array",
    "minItems": 1,
    "prefixItems": [text(r"^[A-Za-z0-9_./+-]+\Z", "a program of letters, digits, _, ., /, + and -")],
    "items": WORDS["items"],
}
CAPABILITIES = {"type": "array", "items": {"type": "string"}}
WRITABLE = named(SIZE, MOUNT["pattern"], MOUNT["description"])
ULIMITS = {
    "type": "object",
    "propertyNames": {
        "enum": [
            *("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss"),
            *("rtprio", "rttime", "sigpending", "stack"),
        ]
    },
    "additionalProperties": {
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": r"^\d{1,18}(:\d{1,18})?\Z",
        "description": "a limit, or soft:hard, such as 65536 or 1024:4096",
    },
}

_SIZES = jsonschema.Draft202012Validator(mapping({"memory": SIZE, "cpus": CPUS}))


def size_errors(given: object) -> list[str]:
    """Return the problems of a service's sizes in an environment, as `.<key>: <problem>`."""
    errors = sorted(_SIZES.iter_errors(given), key=lambda error: error.json_path)
    found = [line for error in errors for line in lines(error)]
    return [f": {line}" if isinstance(given, str) or not isinstance(given, dict) else f".{line}" for line in found]
