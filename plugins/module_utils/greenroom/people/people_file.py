# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The people file, with one line for each synthetic user of a set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from ..common import durable
from .identities import CURRENT, OUTDATED
from .ledger import Ledger, LedgerError
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
