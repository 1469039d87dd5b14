# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The messages of `debug` tasks, as text that an operator reads."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import yaml
from ansible import constants


class _Dumper(yaml.SafeDumper):
    """Keeps the lines of multi-line strings, and shows types that YAML doesn't know as strings."""


def _text(dumper: yaml.SafeDumper, value: Any) -> yaml.Node:
    text = str(value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(object, _text)


def is_message(result: Any) -> bool:
    """Whether a result is that of a `debug` task."""
    return result.task.action in constants._ACTION_DEBUG


def message(result: Mapping[str, Any]) -> str:
    """Return the message of a `debug` task."""
    shown = {key: value for key, value in result.items() if not key.startswith("_ansible_")}
    value = shown.get("msg", shown)
    if isinstance(value, Mapping | list):
        dumped = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)
        return f"{dumped}".rstrip("\n")
    return str(value)


def shorten(result: MutableMapping[str, Any]) -> None:
    """Remove what a failure's message, which is printed before the result, says already."""
    if "exception" in result:
        for key in ("msg", "checks", "summary"):
            result.pop(key, None)
