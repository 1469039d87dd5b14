# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Files for other programs and for you: the people file, with one line for each user of a set, and the conflicts."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence

from ..common import durable
from .identities import CURRENT, OUTDATED
from .ledger import Ledger, LedgerError, forget
from .recipe.recipe import Recipe


def write_users(ledger: Ledger, recipe: Recipe, path: str, write: bool) -> tuple[bool, str]:
    """Write the people file if it is outdated; return whether it is, and the SHA-256 of the content.

    Without `write`, the file stays as it is.
    """
    there = digest(path)
    if not ledger.count(CURRENT) + ledger.count(OUTDATED):
        if there and write:
            durable.remove(path)
        return bool(there), ""
    wanted = digest_of(ledger.lines(recipe.address))
    if wanted != there and write:
        write_lines(path, ledger.lines(recipe.address))
    return wanted != there, wanted


def digest(path: str) -> str:
    """Return the SHA-256 of a file, or an empty string if it doesn't exist."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def digest_of(lines: Iterable[bytes]) -> str:
    """Return the SHA-256 of lines."""
    found = hashlib.sha256()
    for line in lines:
        found.update(line)
    return found.hexdigest()


def write_lines(path: str, lines: Iterable[bytes]) -> None:
    """Write a file atomically, line by line, readable by all. Raises LedgerError."""
    temporary = os.path.join(os.path.dirname(os.path.abspath(path)), f".{os.path.basename(path)}.new")
    try:
        os.makedirs(os.path.dirname(temporary), exist_ok=True)
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o644)) as file:
            os.fchmod(file.fileno(), 0o644)
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        durable.sync_folder(os.path.dirname(temporary))
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from error


NAMED = 50
"""Conflicts that a message names. More of them are in a file."""


def conflicts_file(ledger: str) -> str:
    """Return the path of a set's conflicts."""
    return f"{ledger.removesuffix('.db')}.conflicts"


def write_conflicts(ledger: str, conflicts: Sequence[str]) -> None:
    """Write conflicts of all kinds, one a line, if they are too many for a message; otherwise, remove the file."""
    path = conflicts_file(ledger)
    if len(conflicts) > NAMED:
        write_lines(path, (f"{each}\n".encode() for each in sorted(conflicts)))
    else:
        forget(path)


def named(ledger: str, conflicts: Sequence[str], written: bool) -> str:
    """Return all conflicts, or some and the file that has them; `written` says whether there is one yet."""
    text = ", ".join(sorted(conflicts)[:NAMED])
    if len(conflicts) > NAMED:
        where = "are" if written else "will be, after a run without check mode,"
        text += f" and {len(conflicts) - NAMED} more; all {where} in {conflicts_file(ledger)} on the host"
    return text


def write_progress(path: str, told: Mapping[str, float]) -> None:
    """Write what a call has done so far, for the run that waits for it."""
    write_lines(path, [json.dumps(dict(told)).encode() + b"\n"])
