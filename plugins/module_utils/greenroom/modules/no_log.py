# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Hides the values of secret arguments in a result, as AnsibleModule does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


def secrets(arguments: Mapping[str, Any], given: Mapping[str, Any]) -> set[str]:
    """Return the values of all arguments with `no_log`, and of those within arguments."""
    found: set[str] = set()
    for name, argument in arguments.items():
        value = given.get(name)
        if argument.get("no_log"):
            found.update(_texts(value))
        if "options" in argument and value is not None:
            for item in value if isinstance(value, list) else [value]:
                found |= secrets(argument["options"], item)
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, str):
        yield from [value] if value else []
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def hidden(result: Mapping[str, Any], values: set[str]) -> dict[str, Any]:
    """Return a result in which no text or number has one of the values."""
    longest_first = sorted(values, key=len, reverse=True)
    return {key: _hidden(value, longest_first) for key, value in result.items()}


def _hidden(value: Any, values: Sequence[str]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {key: _hidden(item, values) for key, item in value.items()}
    if isinstance(value, str):
        if value in values:
            return HIDDEN
        for secret in values:
            value = value.replace(secret, "*" * 8)
        return value
    if isinstance(value, Sequence):
        return [_hidden(item, values) for item in value]
    return HIDDEN if any(secret in str(value) for secret in values) else value
