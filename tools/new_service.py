#!/usr/bin/env python3
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Write the folder of a new service: a service.yml that is valid and explains every key, and its checks.

    make service NAME=shop
    make service NAME=shop PORT=3000 IMAGE=team/shop:1.0.0 ROUTE=/

The keys and their meaning are those of the schema and of docs/reference/services.md, so they are never outdated. A
folder that exists is not touched.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs.generate import SERVICE_KEYS  # noqa: E402  # the line above makes it importable
from plugins.module_utils.greenroom.controller.catalogue.catalogue import DEFAULTS  # noqa: E402
from plugins.module_utils.greenroom.controller.catalogue.derived_names import FOLDER, FOLDER_RULE  # noqa: E402
from plugins.module_utils.greenroom.controller.catalogue.service_schema import SCHEMA  # noqa: E402

# Values that say more than the kind of the value does. Every other key gets a value from the schema.
EXAMPLES: dict[str, Any] = {
    "command": ["serve", "--port", "8080"],
    "migrate": ["migrate"],
    "prepare": ["prepare"],
    "seed": ["seed"],
    "heads": "SELECT version FROM schema_versions",
    "ports.<name>.host": 18080,
    "publishes": ["mails"],
    "config_path": "/etc/shop",
    "calls": ["kratos.public"],
    "metrics.port": "http",
    "metrics.path": "/metrics",
    "health.command": ["shopctl", "ready"],
    "health.path": "/healthz",
    "routes[].path": "/shop",
    "routes[].exclude": ["/shop/internal"],
    "routes[].timeout": "30m",
    "canary.probes": ["/"],
    "canary.steps": [5, "pause", 50],
}
NAMES = {
    "ports": "http",
    "queues": "mails",
    "secrets": "API_KEY",
    "environment": "LOG_LEVEL",
    "toggles": "new_checkout",
    "health.headers": "X-Probe",
}
REQUIRED = ("image", "ports", "health", "routes")


class NewServiceError(Exception):
    """Why there is no new service, and what to do about it."""


def meaning(key: str) -> str:
    """Return the meaning of a key in one line, without links to other pages."""
    text, text_of_links = SERVICE_KEYS[key], ""
    while "](" in text:
        before, rest = text.split("](", 1)
        text_of_links, text = f"{text_of_links}{before.replace('[', '', 1)}", rest.split(")", 1)[1]
    return f"{text_of_links}{text}"


def explained(key: str, indent: str) -> list[str]:
    """Return the meaning of a key as lines of comments."""
    return [f"{indent}# {line}" for line in textwrap.wrap(meaning(key), 112 - len(indent))]


def sample(key: str, schema: Mapping[str, Any]) -> Any:
    """Return a value that shows what a key takes: one of EXAMPLES, the default, or what the schema says of it."""
    if key in EXAMPLES:
        return EXAMPLES[key]
    if DEFAULTS.get(key) not in (None, {}, []):
        return DEFAULTS[key]
    if "const" in schema or "enum" in schema:
        return schema.get("const", (schema.get("enum") or [None])[0])
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    plain = {"boolean": True, "array": [], "object": {}, "number": schema.get("minimum", 0.5)}
    if kind == "integer":
        return schema.get("minimum", 1)
    return plain.get(kind, schema.get("description", "a text"))


def _line(indent: str, name: str, value: Any) -> str:
    shown = yaml.safe_dump(value, default_flow_style=True, width=10000, allow_unicode=True).strip()
    return f"{indent}{name}: {shown.removesuffix('...').strip()}"


def lines(schema: Mapping[str, Any], prefix: str = "", indent: str = "") -> Iterator[str]:
    """Yield the lines of all keys of a schema, each after its meaning."""
    for name, value in schema["properties"].items():
        key = f"{prefix}{name}"
        if not prefix and name in REQUIRED:
            continue
        if not prefix:
            yield ""
        yield from explained(key, indent)
        below, mark = value, "."
        if isinstance(value.get("additionalProperties"), Mapping):
            below, mark = value["additionalProperties"], ".<name>."
        elif isinstance(value.get("items"), Mapping) and "properties" in value["items"]:
            below, mark = value["items"], "[]."
        if "properties" not in below:
            given = {NAMES.get(key, "name"): sample(f"{key}.<name>", below)} if mark == ".<name>." else None
            yield _line(indent, name, given or sample(key, value))
            continue
        yield f"{indent}{name}:"
        deeper = f"{indent}  "
        if mark == ".<name>.":
            yield f"{deeper}{NAMES.get(key, 'name')}:"
            deeper += "  "
        if mark == "[].":
            inner = list(lines(below, f"{key}{mark}", f"{deeper}  "))
            first = next(index for index, line in enumerate(inner) if not line.lstrip().startswith("#"))
            inner[first] = f"{deeper}- {inner[first].lstrip()}"
            yield from inner
        else:
            yield from lines(below, f"{key}{mark}", deeper)


def commented(line: str) -> str:
    """Return a line as a comment. Its own comments get a second mark, so that one uncomments both."""
    return f"# {line}" if line else ""


def service_file(name: str, port: int, route: str) -> str:
    """Return the content of service.yml."""
    started = [
        f"# The service {name}. It is valid as it is; uncomment what else you need (take away `# `).",
        "# How keys work together: docs/bring-your-own-service.md.",
        "",
        *explained("image", ""),
        f"image: {name}",
        "",
        *explained("ports", ""),
        "ports:",
        f"  http: {{container: {port}, from: [edge]}}",
        "",
        *explained("health", ""),
        "health: {port: http, path: /}",
        "",
        *explained("routes", ""),
        "routes:",
        f"  - {{path: {route}}}",
    ]
    of_required = {"type": "object", "properties": {}, "required": []}
    more: list[str] = ["", "# More about the keys above:"]
    for key in REQUIRED[1:]:
        block = {**of_required, "properties": {key: SCHEMA["properties"][key]}}
        more += [commented(line) for line in _all(block)]
    rest = [commented(line) for line in lines(SCHEMA)]
    return "\n".join([*started, *more, *rest, ""])


def _all(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a schema's keys, also of those that a new service has anyway."""
    for name, value in schema["properties"].items():
        wrapper = {"properties": {name: value}}
        yield ""
        yield from (line for line in lines(wrapper, prefix="", indent="") if line)
        if name in REQUIRED:
            yield from _required(name, value)


def _required(name: str, value: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one of the keys that a new service has."""
    yield f"{name}:"
    if name == "ports":
        yield "  http:"
        yield from lines(value["additionalProperties"], "ports.<name>.", "    ")
    elif name == "routes":
        inner = list(lines(value["items"], "routes[].", "    "))
        first = next(index for index, line in enumerate(inner) if not line.lstrip().startswith("#"))
        inner[first] = f"  - {inner[first].lstrip()}"
        yield from inner
    else:
        yield from lines(value, f"{name}.", "  ")
