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
import re
import sys
import textwrap
from collections.abc import Mapping
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
    "ports.<name>.container": 8080,
    "ports.<name>.host": 18080,
    "ports.<name>.from": ["edge"],
    "database": "shop",
    "secrets.<name>.login": "shop",
    "secrets.<name>.broker": "shop-worker",
    "secrets.<name>.ring": "cookies",
    "secrets.<name>.value": "api-key",
    "secrets.<name>.of": "shop",
    "queues.<name>.delivery_limit": 20,
    "environment.<name>": "debug",
    "toggles.<name>.description": "Orders have a quantity",
    "toggles.<name>.variable": "SHOP_NEW_CHECKOUT",
    "config_of": "shop",
    "health.port": "http",
    "health.headers.<name>": "1",
    "health.service": "shop.v1.Orders",
    "health.start_period": 300,
    "identities": "admin",
    "load.toggle": "test_endpoints",
    "canary.metric.name": "shop_orders_total",
    "canary.metric.port": "http",
    "canary.metric.path": "/metrics",
    "canary.step_seconds": 60,
    "canary.queries[].name": "errors in payments",
    "canary.queries[].query": 'sum(rate(payment_errors_total{slot="$slot"}[1m]))',
    "canary.limits.latency_factor": 1.5,
    "routes[].port": "http",
    "routes[].limit": "login",
    "headers.Content-Security-Policy": "default-src 'self'",
    "headers.X-Content-Type-Options": "nosniff",
    "headers.X-Frame-Options": "SAMEORIGIN",
    "headers.Referrer-Policy": "same-origin",
    "headers.Permissions-Policy": "camera=()",
    "publishes": ["mails"],
    "config_path": "/etc/shop",
    "calls": ["kratos.public"],
    "providers": ["stripe"],
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


class NewServiceError(Exception):
    """Why there is no new service, and what to do about it."""


def meaning(key: str) -> str:
    """Return the meaning of a key, without links to other pages."""
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", SERVICE_KEYS[key])


def explained(key: str, indent: str = "") -> list[str]:
    """Return the meaning of a key as lines of comments."""
    return [f"{indent}# {line}" for line in textwrap.wrap(meaning(key), 114 - len(indent), break_on_hyphens=False)]


def sample(key: str, schema: Mapping[str, Any]) -> Any:
    """Return a value that shows what a key takes: one of EXAMPLES, the default, or what the schema says of it."""
    if key in EXAMPLES:
        return EXAMPLES[key]
    if DEFAULTS.get(key):
        return DEFAULTS[key]
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    plain = {"boolean": True, "array": [], "object": {}, "number": 0.5, "integer": schema.get("minimum", 1)}
    return plain.get(kind, schema.get("description", "a text"))


def block(name: str, schema: Mapping[str, Any], prefix: str = "", indent: str = "") -> list[str]:
    """Return the lines of one key with all that it may have, each with its meaning before it."""
    key, lines = f"{prefix}{name}", explained(f"{prefix}{name}", indent)
    by_name, listed = schema.get("additionalProperties"), schema.get("items")
    if isinstance(by_name, Mapping) and "properties" in by_name:
        inner = _inner(by_name, f"{key}.<name>.", f"{indent}    ")
        return [*lines, f"{indent}{name}:", f"{indent}  {NAMES.get(key, 'name')}:", *inner]
    if isinstance(listed, Mapping) and "properties" in listed:
        inner = _inner(listed, f"{key}[].", f"{indent}    ")
        first = next(index for index, line in enumerate(inner) if not line.lstrip().startswith("#"))
        inner[first] = f"{indent}  - {inner[first].lstrip()}"
        return [*lines, f"{indent}{name}:", *inner]
    if "properties" in schema:
        return [*lines, f"{indent}{name}:", *_inner(schema, f"{key}.", f"{indent}  ")]
    if isinstance(by_name, Mapping):
        return [*lines, _line(indent, name, {NAMES.get(key, "name"): sample(f"{key}.<name>", by_name)})]
    return [*lines, _line(indent, name, sample(key, schema))]


def _inner(schema: Mapping[str, Any], prefix: str, indent: str) -> list[str]:
    return [line for name, value in schema["properties"].items() for line in block(name, value, prefix, indent)]


def _line(indent: str, name: str, value: Any) -> str:
    shown = yaml.safe_dump(value, default_flow_style=True, width=10000, allow_unicode=True).strip()
    return f"{indent}{name}: {shown.removesuffix('...').strip()}"


def service_file(name: str, port: int, route: str) -> str:
    """Return the content of service.yml: four keys that a service with a page needs, and all others as comments."""
    given = {
        "image": [f"image: {name}"],
        "ports": ["ports:", f"  http: {{container: {port}, from: [edge]}}"],
        "health": ["health: {port: http, path: /}"],
        "routes": ["routes:", f"  - {{path: {route}}}"],
    }
    text = [
        f"# The service {name}. This file is valid. To use another key, remove the # at the start of its lines.",
        "# How keys work together: docs/bring-your-own-service.md.",
    ]
    for key, schema in SCHEMA["properties"].items():
        why = explained(key)
        whole = block(key, schema)[len(why) :]
        text += ["", *why, *given.get(key, [])]
        if key not in given:
            text += [f"#{line}" for line in whole]
        elif len(whole) > 1:
            text += [f"# All that `{key}` may have:", *(f"#{line}" for line in whole)]
    return "\n".join([*text, ""])


def checks_file(name: str, route: str) -> str:
    """Return the content of checks.yml."""
    return f"""\
# What a release must pass before it serves. All keys: docs/smoke.md.
- name: The service {name} answers
  url: {route}
  # expect: {{status: 200, contains: a text of the page}}
"""


def write(name: str, port: int, route: str, services: Path) -> list[Path]:
    """Write the files of service `name` below `services`, and return them. Raises NewServiceError."""
    if not FOLDER.fullmatch(name):
        raise NewServiceError(f'NAME: "{name}" can\'t be a service; a name has {FOLDER_RULE}')
    if not 1 <= port <= 65535:
        raise NewServiceError(f"PORT: {port} is not a port; give the one that the program listens on, such as 8080")
    folder = services / name
    if folder.exists():
        raise NewServiceError(f"{folder} exists. Choose another name, or remove the folder first.")
    folder.mkdir(parents=True)
    content = {"service.yml": service_file(name, port, route), "checks.yml": checks_file(name, route)}
    for file, text in content.items():
        (folder / file).write_text(text, encoding="utf-8")
    return [folder / file for file in content]


def main() -> int:
    """Write the service that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--port", type=int, default=8080, help="the port that the program listens on")
    parser.add_argument("--image", default="", help="the image in the registry, with a tag or digest")
    parser.add_argument("--route", default="", help="the public path (default: /<name>)")
    parser.add_argument("--services", default=os.environ.get("GREENROOM_SERVICES") or str(ROOT / "services"))
    options = parser.parse_args()
    if not options.name:
        print("Give the service a name: make service NAME=shop", file=sys.stderr)
        return 1
    try:
        files = write(options.name, options.port, options.route or f"/{options.name}", Path(options.services))
    except NewServiceError as error:
        print(error, file=sys.stderr)
        return 1
    print(*(f"wrote {os.path.relpath(file)}" for file in files), sep="\n")
    image = options.image or "<repository>:<tag>"
    print(
        f"Next: set `health.path` to a page that says whether the program is ready, and name the image in the release\n"
        f"file (releases/<name>.yml):\n\n  images:\n    {options.name}: {image}\n\n"
        "Then run: ansible-playbook -i inventories/staging playbooks/validate.yml"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
