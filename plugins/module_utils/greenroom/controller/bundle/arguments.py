# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The arguments of a service's commands, on their way to a container.

`command` goes through a unit: Quadlet reads `Exec=` and writes `ExecStart=`, which systemd reads. The other commands go
to Podman as a list.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 65_535
"""Bytes that an argument may have."""
# Both programs know these escapes between double quotes. To systemd alone, % and $ mean something there, too.
_ESCAPES = str.maketrans(
    {"\\": r"\\", '"': r"\"", "%": "%%", "$": "$$"} | {chr(code): f"\\x{code:02x}" for code in (*range(1, 32), 127)}
)
# What no quoting brings through the unit.
_LOST = {
    "": "Quadlet drops an empty argument and all that follow; use a form like `--option=`, or start a script",
    ";": "systemd ends a command at a lone `;`; start a script that has it",
}


def text_problem(text: str, longest: int = LONGEST) -> str:
    """Return why no process can get this text as an argument or a variable, or ""."""
    if "\0" in text:
        return "has a zero byte"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode text"
    return f"has {size} bytes; the most is {longest}" if size > longest else ""


def argument_problem(word: str, in_unit: bool) -> str:
    """Return why a container would not get this argument of a command as it is, or "".

    `in_unit` is whether a unit has the command, as it has `command`.
    """
    return text_problem(word) or (_LOST.get(word, "") if in_unit else "")


def exec_line(words: Iterable[object]) -> str:
    """Return the value of `Exec=` in a unit of Quadlet with which a container gets exactly these arguments.

    Raises ValueError for an argument that would not arrive; its message doesn't contain the argument.
    """
    texts = [str(word) for word in words]
    for index, text in enumerate(texts):
        if problem := argument_problem(text, in_unit=True):
            raise ValueError(f"command[{index}]: {problem}")
    return " ".join(f'"{text.translate(_ESCAPES)}"' for text in texts)
