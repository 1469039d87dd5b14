# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The environment files of containers, as Podman reads them: each line is a variable, without quotes or escapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...switch.bluegreen import SLOTS
from ..catalogue.service_secrets import KEYS, LOGINS, secret_path
from .arguments import text_problem
from .description import Service

LONGEST_LINE = 65_535
"""Bytes of a line that Podman reads. It refuses a file with a longer one."""


def variable_text(value: object) -> str:
    """Return the text that a container gets for a value: true and false are what YAML calls so."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def variable_problem(name: str, value: str) -> str:
    """Return why a container would not get this value as it is, or ""; the reason doesn't contain the value."""
    if "\n" in value or "\r" in value:
        return (
            "has more than one line, which an environment variable can't have here; give the service a file (`file` in "
            "`secrets`, or config/)"
        )
    return text_problem(value, LONGEST_LINE - len(name) - 1)


def secret_problem(name: str, value: str, several: bool) -> str:
    """Return why a container would not get this secret as it is, or ""; with `several` lines, it is a file."""
    return text_problem(value, LONGEST_LINE) if several else variable_problem(name, value)


def environment_lines(values: Mapping[str, object]) -> str:
    """Return the lines of an environment file, sorted by name, from {variable: value}.

    Raises ValueError for a value that would not arrive; its message doesn't contain the value.
    """
    texts = {name: variable_text(value) for name, value in sorted(values.items())}
    for name, text in texts.items():
        if problem := variable_problem(name, text):
            raise ValueError(f"{name} {problem}")
    return "".join(f"{name}={text}\n" for name, text in texts.items())


def secret_problems(
    catalogue: Mapping[str, Service], values: Mapping[str, Mapping[str, Any]], environment: str
) -> Iterator[str]:
    """Yield one line for each secret that a container would not get as it is; no line contains a secret.

    `values` maps paths to the run's secrets, `environment` is the environment's name.
    """
    for name, service in catalogue.items():
        for variable, secret in service["secrets"].items():
            path = secret_path(secret, SLOTS[0])
            # A login's password is in a URL, which has escapes.
            if secret["kind"] in LOGINS or path not in values:
                continue
            value = values[path].get(KEYS[secret["kind"]])
            several = bool(secret.get("file"))
            problem = secret_problem(variable, value, several) if isinstance(value, str) else "is not text"
            if problem:
                yield f"{environment}/{path} ({variable} of {name}) {problem}"
