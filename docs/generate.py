#!/usr/bin/env python3
"""Write docs/reference/ from what the code declares: roles' options, modules, service.yml, and the Makefile.

`make docs` writes the pages; `--check` writes nothing, names the pages that are not current and exits with 1.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(__file__).resolve().parent / "reference"
NOTE = "<!-- Written by docs/generate.py; change its sources and run `make docs`. -->"

MARKUP = re.compile(r"\b(RV|[BCIOPV])\(((?:[^()]|\([^()]*\))*)\)")
"""Ansible's markup in descriptions: C(code), O(option), V(value), I(emphasis) ..."""

SERVICE_KEYS = {
    "image": "The image's name in the release file (`releases/<name>.yml`).",
    "group": "The hosts that run the service: every host of this group, all of which are in `app`, too.",
    "activation": "`always`: in both slots. `live_only`: beside the live slot only (consumers, schedulers). "
    "`singleton`: beside the live slot, on the group's first host only.",
    "command": "Arguments for the image's entry point.",
    "user": "User and group id of the process, inside the container and out.",
    "memory": "Memory that the service may use.",
    "stop_timeout": "Seconds between the request to stop and the kill.",
    "ports": "The ports that the service listens on, by a name of your choice.",
    "ports.<name>.container": "The port inside the container.",
    "ports.<name>.host": "The host's port in blue; green's is 10000 higher. Without it: 10000 more than `container`.",
    "ports.<name>.from": "Groups whose hosts may reach the port. Empty: the port is offered on 127.0.0.1 only.",
    "database": "A PostgreSQL database of this name is made, with an owner role and one login for each slot.",
    "migrate": "Arguments that migrate the database. Runs once, from one host, before the candidate starts.",
    "prepare": "Arguments of a second command that runs like `migrate` and after it: for rows that the service makes "
    "when it first starts, of which two that start at the same moment would make two.",
    "seed": "Arguments that make the service's invented data what it should be, or remove it. Runs once, from one "
    "host, when people, volume, seed or schema are others than the last time. How: "
    "[bring your own service](../bring-your-own-service.md#invented-data).",
    "heads": "A query that names the state of the database's schema. Another answer than at the last time: seed again.",
    "queues": "Queues of the broker that the service takes jobs from, by name. What can't be done goes to "
    "`<name>.dead`. Needs `live_only` or `singleton`.",
    "queues.<name>.delivery_limit": "How often a job is given out before it counts as one that can't be done. "
    "Without it: 20.",
    "publishes": "Queues that the service puts jobs into: it publishes to the exchange of the queue's name.",
    "secrets": "Secrets, as environment variables of the container. Each has exactly one of `login`, `broker`, `ring`, "
    "`value`.",
    "secrets.<name>.login": "The address of this database, with the slot's login and a checked certificate: "
    "`postgres://…?sslmode=verify-full`.",
    "secrets.<name>.broker": "The broker's address, with the slot's login of this name: `amqps://…?cafile=…`. It may "
    "take jobs from the service's `queues`, put some into those that it `publishes`, and nothing else.",
    "secrets.<name>.ring": "A list of keys, newest first, joined by commas. Both slots read all of them.",
    "secrets.<name>.value": "A single random value.",
    "secrets.<name>.of": "The service that owns the secret, where that is another one.",
    "environment": "Plain environment variables; values may be templates. `GREENROOM_ENVIRONMENT`, `GREENROOM_SLOT` "
    "and `GREENROOM_RELEASE` are always set.",
    "config_path": "Where the service's folder `config/` is mounted, read-only. `.j2` files in it are rendered.",
    "config_of": "Mount another service's `config/` instead of the own one.",
    "health": "The page that answers 200 when the service is ready. Needed where there are ports.",
    "health.port": "The port's name.",
    "health.path": "The page's path.",
    "metrics": "The page with metrics for Prometheus.",
    "metrics.port": "The port's name. Hosts of the group `ops` may reach it, unless it is on 127.0.0.1 only.",
    "metrics.path": "The page's path.",
    "identities": "The port with Ory Kratos' admin API, in the one service that keeps identities: synthetic people are "
    "created there. Without such a service there are none.",
    "canary": "What is looked at while the service is a candidate with a share of the public ([canary](../canary.md)).",
    "canary.probes": "Paths below the public address that both slots are asked for. They must be cheap, and change "
    "nothing. Where no service names any: the routes' paths.",
    "canary.metric": "A counter that rises with what the service is for, as orders.",
    "canary.metric.name": "The counter's name on the page; with labels, the sum counts.",
    "canary.metric.port": "The port's name. Without it: that of `metrics`.",
    "canary.metric.path": "The page's path. Without it: that of `metrics`.",
    "routes": "What of the public address leads here. The longest path that fits wins.",
    "routes[].path": "Requests for this path and all below it: `/order` takes `/order/1`, not `/orders`.",
    "routes[].port": "The port's name. Without it: the first port with `edge` in `from`.",
    "routes[].limit": "The class of rate limits: a key of `edge_limits`. Without it: `default`.",
    "routes[].auth": "`false` lets visitors in without the environment's password: for APIs with a login of their own. "
    "Without it: `true`.",
}
"""What each key of service.yml means. A key of the schema that is missing here is an error, and so is the reverse."""

WORDS = {"array": "list", "boolean": "true or false", "integer": "whole number", "object": "mapping", "string": "text"}
"""What JSON's types are called."""


def code(value: object) -> str:
    """Return `value` as inline code, texts as they are and everything else as JSON."""
    return f"`{value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)}`"


def prose(text: object) -> str:
    """Return a description (a text or a list of paragraphs) as one line of Markdown."""
    joined = " ".join(map(str, text)) if isinstance(text, list) else str(text or "")
    return " ".join(MARKUP.sub(_marked, joined).split())


def _marked(match: re.Match[str]) -> str:
    return f"*{match[2]}*" if match[1] in "BI" else f"`{match[2]}`"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a Markdown table, with an empty line after it."""
    lines = [head, tuple("---" for _ in head), *rows]
    return [*("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines), ""]


def _type(option: Mapping[str, Any]) -> str:
    kind = str(option.get("type", "str"))
    kind += f" of {option['elements']}" if "elements" in option else ""
    return f"{kind}: {', '.join(map(code, option['choices']))}" if "choices" in option else kind


def _default(option: Mapping[str, Any]) -> str:
    if option.get("required"):
        return "required"
    return code(option["default"]) if option.get("default") is not None else ""


def option_rows(options: Mapping[str, Any], nested: str, prefix: str = "") -> Iterator[tuple[str, ...]]:
    """Yield name, type, default and meaning of options; those below an option's key `nested` follow it, dotted."""
    for name, option in options.items():
        yield f"`{prefix}{name}`", _type(option), _default(option), prose(option["description"])
        below = option.get(nested)
        if isinstance(below, Mapping):
            many = "[]" if option.get("type") == "list" else ""
            yield from option_rows(below, nested, f"{prefix}{name}{many}.")


OPTION_HEAD = ("Option", "Type", "Default", "Meaning")


def roles() -> str:
    """Return the page of all roles' options."""
    lines = ["# Roles and their variables", "", NOTE, ""]
    lines += ["Set a variable in an inventory, or with `-e`. A name that no role declares is refused.", ""]
    for file in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        for spec in yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"].values():
            lines += [f"## {file.parts[-3]}", "", f"{prose(spec['short_description'])}.", ""]
            lines += [prose(spec["description"]), ""] if spec.get("description") else []
            rows = list(option_rows(spec.get("options") or {}, "options"))
            lines += table(OPTION_HEAD, rows) if rows else ["No variables of its own.", ""]
    return "\n".join(lines)


def module_documents(file: Path) -> dict[str, str]:
    """Return the texts DOCUMENTATION, EXAMPLES and RETURN of a module, without running it."""
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in {"DOCUMENTATION", "EXAMPLES", "RETURN"} and isinstance(node.value, ast.Constant):
                found[name] = str(node.value.value)
    return found


def modules() -> str:
    """Return the page of all modules in library/."""
    lines = ["# Modules", "", NOTE, ""]
    for file in sorted((ROOT / "library").glob("*.py")):
        texts = module_documents(file)
        document = yaml.safe_load(texts["DOCUMENTATION"])
        lines += [f"## {document['module']}", "", f"{prose(document['short_description'])}.", ""]
        lines += [f"- {prose(paragraph)}" for paragraph in document["description"]] + [""]
        shown = {name: option for name, option in document["options"].items() if not name.startswith("_")}
        lines += table(OPTION_HEAD, list(option_rows(shown, "suboptions")))
        lines += ["Examples:", "", "```yaml", texts["EXAMPLES"].strip(), "```", ""]
        results = [
            (f"`{name}`", str(value["type"]), prose(value["description"]))
            for name, value in yaml.safe_load(texts["RETURN"]).items()
        ]
        lines += ["Returns:", "", *table(("Value", "Type", "Meaning"), results)]
    return "\n".join(lines)


def schema_rows(schema: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, ...]]:
    """Yield key, shape, default and meaning of every key of service.yml, in the schema's order."""
    for name, value in schema["properties"].items():
        key = f"{prefix}{name}"
        if name in schema["required"]:
            default = "required"
        else:
            default = code(defaults[name]) if defaults.get(name) is not None else ""
        yield f"`{key}`", _shape(value), default, SERVICE_KEYS[key]
        below = value.get("additionalProperties") or value.get("items") or value
        if isinstance(below, Mapping) and "properties" in below:
            mark = ".<name>." if value.get("additionalProperties") else "[]." if "items" in value else "."
            yield from schema_rows(below, {}, f"{key}{mark}")


def _shape(value: Mapping[str, Any]) -> str:
    """Return what may stand there, in words."""
    if "enum" in value:
        return ", ".join(map(code, value["enum"]))
    kinds = [value["type"]] if isinstance(value["type"], str) else value["type"]
    text = str(value.get("description") or " or ".join(WORDS[kind] for kind in kinds))
    text += " of texts" if value.get("items", {}).get("type") == "string" else ""
    return text + (f" from {value['minimum']}" if "minimum" in value else "")


def services() -> str:
    """Return the page of service.yml. Raises KeyError for a key without a meaning, or a meaning without a key."""
    sys.path.insert(0, str(ROOT))
    package = "plugins.module_utils.greenroom.controller.catalogue"
    schema = importlib.import_module(f"{package}.service_schema").SCHEMA
    defaults = importlib.import_module(f"{package}.catalogue").DEFAULTS
    rows = list(schema_rows(schema, defaults))
    unknown = SERVICE_KEYS.keys() - {row[0].strip("`") for row in rows}
    if unknown:
        raise KeyError(f"service.yml has no key {', '.join(sorted(unknown))}")
    lines = ["# service.yml", "", NOTE, ""]
    lines += ["All keys. Another key is refused, and the nearest right one is suggested.", ""]
    lines += ["How to write one: [bring your own service](../bring-your-own-service.md).", ""]
    return "\n".join([*lines, *table(("Key", "Value", "Default", "Meaning"), rows)])


def commands() -> str:
    """Return the page of the Makefile's targets."""
    targets = re.findall(r"^([a-z-]+):.*?## (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    rows = [(f"`make {name}`", f"{text[0].upper()}{text[1:]}.") for name, text in targets]
    lines = ["# Commands", "", NOTE, "", "`make` alone prints this list.", ""]
    return "\n".join([*lines, *table(("Command", "Does"), rows)])


def pages() -> dict[Path, str]:
    """Return the content of every reference page by its file."""
    made = {"roles": roles, "modules": modules, "services": services, "commands": commands}
    return {REFERENCE / f"{name}.md": page().rstrip() + "\n" for name, page in made.items()}


def outdated() -> list[str]:
    """Return the names of pages that differ from what would be written now."""
    return [
        file.name for file, text in pages().items() if not file.exists() or file.read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write the pages, or check them. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/reference/ from what the code declares.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is not current")
    if parser.parse_args().check:
        wrong = outdated()
        for name in wrong:
            print(f"docs/reference/{name} is not current: run `make docs`")
        return 1 if wrong else 0
    REFERENCE.mkdir(exist_ok=True)
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
