# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""How the parts of a snapshot read a host: programs and files, and what to say if something can't be read."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

TIMEOUT = 30.0
"""Seconds for a program. A program that hangs must not keep the other parts from being read."""

ALL = "*"
"""Stands for all items of a part that could not be read."""


@dataclass(frozen=True)
class Unread:
    """A value that could not be read, and why. It is never compared as if it were a value."""

    reason: str


class UnreadError(Exception):
    """A part, or the rest of it, can't be read. The message says why."""


Items = Iterator[tuple[str, Any]]
"""Name and value (JSON, or Unread) of what a part reads."""


@dataclass
class Options:
    """What to read: globs of `files` and of `certificates`, `names` to resolve, the URLs of local servers."""

    files: Sequence[str] = ()
    certificates: Sequence[str] = ()
    names: Sequence[str] = ()
    prometheus: str = ""
    alertmanager: str = ""


def is_root() -> bool:
    """Return whether this process may read everything."""
    return os.geteuid() == 0


def needs_root() -> None:
    """Raise UnreadError unless this process is root."""
    if not is_root():
        raise UnreadError("only root can read this; run the playbook with become")


def has(program: str) -> bool:
    """Return whether a program is installed. What isn't there has no items, which is a fact and no gap."""
    return shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin") is not None


def output(*command: str, codes: Sequence[int] = (0,), given: str | None = None) -> str:
    """Return a program's output. Raises UnreadError if it fails, takes too long, or isn't there."""
    try:
        # Programs come from this package's modules, never from a playbook.
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
            input=given,
            stdin=None if given is not None else subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadError(f"{command[0]} did not end within {TIMEOUT:.0f} s") from error
    except OSError as error:
        raise UnreadError(f"{command[0]}: {error.strerror}") from error
    if ended.returncode not in codes:
        said = (ended.stderr.strip() or ended.stdout.strip() or "no message").splitlines()[-1][:200]
        raise UnreadError(f"{command[0]} ended with exit code {ended.returncode}: {said}")
    return ended.stdout


def text(path: str) -> str:
    """Return a file's content, "" if there is none. Raises UnreadError."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UnreadError(f"{path}: {error.strerror}") from error
