# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The environment files of containers, as Podman reads them: each line is a variable, without quotes or escapes."""

from __future__ import annotations

from collections.abc import Mapping

from .arguments import text_problem

LONGEST_LINE = 65_535
"""Bytes of a line that Podman reads. It refuses a file with a longer one."""


def variable_problem(name: str, value: str) -> str:
    """Return why a container would not get this value as it is, or ""; the reason doesn't contain the value."""
    if "\n" in value or "\r" in value:
        return (
            "has more than one line, which an environment variable can't have here; give the service a file (config/)"
        )
    return text_problem(value, LONGEST_LINE - len(name) - 1)


def environment_lines(values: Mapping[str, object]) -> str:
    """Return the lines of an environment file, sorted by name, from {variable: value}.

    Raises ValueError for a value that would not arrive; its message doesn't contain the value.
    """
    texts = {name: str(value) for name, value in sorted(values.items())}
    for name, text in texts.items():
        if problem := variable_problem(name, text):
            raise ValueError(f"{name} {problem}")
    return "".join(f"{name}={text}\n" for name, text in texts.items())
