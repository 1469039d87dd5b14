# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The terms of which the schema of service.yml is made: kinds of names, paths, texts and mappings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def text(pattern: str, description: str) -> dict[str, Any]:
    """Return the schema of a text; problems name it by its description."""
    return {"type": "string", "pattern": pattern, "description": description}


NAME = text(r"^[a-z][a-z0-9_-]{0,39}\Z", "a name of lowercase letters, digits, - and _")
DATABASE = text(r"^[a-z][a-z0-9_]{0,50}\Z", "a name of lowercase letters, digits and _")
# Several configuration files contain the path, and these characters have a meaning there.
PATH = text(r"""^/[^\s#"'\\]*\Z""", "a path that starts with / and has no space, #, \\ or quotation mark")
# HAProxy's configuration contains the value in quotation marks.
HEADER_VALUE = text(r"^[ !#%-\[\]-~]*\Z", 'a text of ASCII characters without ", \\ and $')
# What HAProxy waits for can take long, but nothing waits for days.
DURATION = text(r"^[1-9]\d{0,4}[smh]\Z", "a time such as 90s, 30m or 4h")
# Podman and systemd read the mount, and give other characters a meaning.
MOUNT = text(r"^/[A-Za-z0-9_./-]*\Z", "a path that starts with / and has only letters, digits, -, _, . and /")
CALL = text(
    r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9_]*\Z", "the name of a service, a dot and one of its ports, such as kratos.admin"
)
WORDS = {"type": "array", "items": {"type": "string"}}
PORT_NUMBER = {"type": "integer", "minimum": 1, "maximum": 65535}


def mapping(properties: dict[str, Any], required: Iterable[str] = ()) -> dict[str, Any]:
    """Return the schema of a mapping with these keys and no others."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def named(value: dict[str, Any], pattern: str, description: str) -> dict[str, Any]:
    """Return the schema of a mapping whose keys are names, all with the same kind of value."""
    return {
        "type": "object",
        "propertyNames": {"type": "string", "pattern": pattern, "description": description},
        "additionalProperties": value,
    }


# Programs read names such as http_proxy and spring.datasource.url.
VARIABLE = (r"^[A-Za-z_][A-Za-z0-9_.-]*\Z", "a name of letters, digits, _, . and -")
PAGE = mapping({"port": NAME, "path": PATH}, ["port", "path"])
