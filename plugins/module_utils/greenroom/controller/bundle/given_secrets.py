# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Secrets that an operator puts into Vault: where the value comes from, its shape, and the list of all secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...common.names import suggestion
from .environment_file import secret_problem

# Besides a service's name, a path with one of these words names how its secret came about.
_MADE = ("login", "broker", "cache", "ring", "value")


class ValueRefusedError(Exception):
    """The value or its source can't be used; the text says why, without the value."""


def path_problem(path: str, settable: Collection[str]) -> str:
    """Return why no value can be put at `path`, or ""; `settable` are the paths of single values of services."""
    if path in settable:
        return ""
    return f'no service has a secret "{path}" (`given` or `value` in service.yml){suggestion(path, settable)}'


def text_of(content: bytes, several: bool) -> str:
    """Return the value that a file or a variable has; raises ValueRefusedError.

    Programs that write one line end it with a line break, which is no part of the value. With `several` lines it is.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ValueRefusedError("is not text; encode it, for example in Base64") from error
    if not several:
        text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise ValueRefusedError("is empty")
    # A value alone must not have a line break, whatever the name of its variable.
    if problem := secret_problem("", text, several):
        raise ValueRefusedError(problem)
    return text


def file_content(path: str) -> bytes:
    """Return what a file has; raises ValueRefusedError."""
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueRefusedError(f"can't be read: {error.strerror or error}") from error


def listed(
    values: Mapping[str, Mapping[str, Any]],
    written: Mapping[str, str],
    given: Collection[str],
    now: datetime | None = None,
) -> list[str]:
    """Return one line for each secret, sorted by path: its age, where it came from, and its owner."""
    rows = [(path, _age(written.get(path, ""), now), *_origin(path, values[path], given)) for path in sorted(values)]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip() for row in rows
    ]


def _origin(path: str, content: Mapping[str, Any], given: Collection[str]) -> Iterator[str]:
    kind = path.split("/")[1] if "/" in path else ""
    owner = content.get("owner")
    if path in given or owner:
        yield "given"
    elif kind == "certificate":
        yield "issued by the PKI"
    else:
        yield "generated" if kind in _MADE else "written elsewhere"
    yield f"owner {owner}" if owner else "owner not known" if path in given else ""


def _age(time: str, now: datetime | None) -> str:
    """Return an age in days; Vault writes times with nanoseconds."""
    try:
        at = datetime.fromisoformat(time)
    except ValueError:
        return "age not known"
    days = ((now or datetime.now(UTC)) - at).days
    return "1 day" if days == 1 else f"{max(days, 0)} days"
