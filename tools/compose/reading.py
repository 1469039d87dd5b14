# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Read a compose file: its data, the line of each key, and its variables with their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Key = str | int
Place = tuple[Key, ...]
_MAP = "tag:yaml.org,2002:map"


class ComposeError(Exception):
    """Why a file is no compose file, and what to do about it."""


class _Loader(yaml.SafeLoader):
    """Reads scalars as compose does (YAML 1.2): `22:22` is a text, and so are `yes`, `on` and dates."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # a name of PyYAML


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})\Z"), list(_first))


@dataclass
class Compose:
    """A compose file, with all variables replaced; `lines` = {place of a key: its line}."""

    path: Path
    data: dict[str, Any]
    lines: dict[Place, int]
    variables: Mapping[str, str] = field(default_factory=dict)
    sources: dict[Place, str] = field(default_factory=dict)
    """{place: text as it is written} of each text with a variable"""
    missing: dict[Place, list[str]] = field(default_factory=dict)
    """{place: variables without a value}"""

    def line(self, *place: Key) -> int:
        """Return the line of a key or an item, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(path: Path) -> Compose:
    """Read a compose file, and the `.env` next to it. Raises ComposeError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ComposeError(f"{path}: can't be read: {error}") from error
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        lines: dict[Place, int] = {}
        data = _built(loader, node, (), lines) if node else None
    except yaml.YAMLError as error:
        raise ComposeError(f"{path}: is not YAML: {error}") from error
    services = data.get("services") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(services, dict) or not services:
        raise ComposeError(f"{path}: has no `services`; give a compose file")
    for name, service in services.items():
        if not isinstance(service, dict):
            raise ComposeError(f"{path}:{lines.get(('services', name), 1)}: service {name} is not a mapping")
    there = path.parent / ".env"
    found = Compose(path, data, lines, parse_env(there.read_text(encoding="utf-8")) if there.is_file() else {})
    found.data = _interpolated(found, data, ())
    return found


def _built(loader: _Loader, node: Any, place: Place, lines: dict[Place, int]) -> Any:
    """Return a node's data, and write down the line of each key and item."""
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        built = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            lines[(*place, key)] = key_node.start_mark.line + 1
            built[key] = _built(loader, value_node, (*place, key), lines)
        return built
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            lines[(*place, index)] = item.start_mark.line + 1
            items.append(_built(loader, item, (*place, index), lines))
        return items
    # Tags such as !reset are of several files that are merged.
    if not node.tag.startswith("tag:yaml.org"):
        return None
    return loader.construct_object(node)


def parse_env(text: str) -> dict[str, str]:
    """Return the variables of a file with lines `NAME=value`."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*?)\s*$", line)
        if not match:
            continue
        value = match[2]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        else:
            value = re.sub(r"(^|\s+)#.*$", "", value)
        found[match[1]] = value
    return found


_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_]\w*)"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:(?P<mark>:?[-?+])(?P<other>(?:[^{}]|\{[^{}]*\})*))?\})"
)


def interpolate(text: str, variables: Mapping[str, str], missing: Callable[[str], None]) -> str:
    """Return `text` with its variables replaced, as compose does; `missing` hears of those without a value."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name, mark = match["plain"] or match["name"], match["mark"] or ""
        known = variables.get(name)
        given = bool(known) if mark.startswith(":") else known is not None
        if mark.endswith("+"):
            return interpolate(match["other"], variables, missing) if given else ""
        if given:
            return str(known)
        if mark.endswith("-"):
            return interpolate(match["other"], variables, missing)
        missing(name)
        return ""

    return _VARIABLE.sub(value, text)


def _interpolated(compose: Compose, value: Any, place: Place) -> Any:
    if isinstance(value, dict):
        return {key: _interpolated(compose, item, (*place, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolated(compose, item, (*place, index)) for index, item in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    missing: list[str] = []
    compose.sources[place] = value
    text = interpolate(value, compose.variables, missing.append)
    if missing:
        compose.missing[place] = list(dict.fromkeys(missing))
    return text
