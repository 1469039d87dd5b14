# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Files for other programs and for you: the people file, with one line for each user of a set, and the conflicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from . import ledger as memory
from .identities import CURRENT, OUTDATED
from .ledger import Ledger
from .recipe.recipe import Recipe


def write_users(ledger: Ledger, recipe: Recipe, path: str, write: bool) -> tuple[bool, str]:
    """Write the people file if it is outdated; return whether it is, and the SHA-256 of the content.

    Without `write`, the file stays as it is.
    """
    there = memory.digest(path)
    if not ledger.count(CURRENT) + ledger.count(OUTDATED):
        if there and write:
            memory.forget(path)
        return bool(there), ""
    wanted = memory.digest_of(ledger.lines(recipe.address))
    if wanted != there and write:
        memory.write_lines(path, ledger.lines(recipe.address))
    return wanted != there, wanted


NAMED = 50
"""Conflicts that a message names. More of them are in a file."""


def conflicts_file(ledger: str) -> str:
    """Return the path of a set's conflicts."""
    return f"{ledger.removesuffix('.db')}.conflicts"


def write_conflicts(ledger: str, conflicts: Sequence[str]) -> None:
    """Write all conflicts, one a line, if they are too many for a message; otherwise, remove the file."""
    path = conflicts_file(ledger)
    if len(conflicts) > NAMED:
        memory.write_lines(path, (f"{each}\n".encode() for each in sorted(conflicts)))
    else:
        memory.forget(path)


def conflicts_message(ledger: str, conflicts: Sequence[str], written: bool) -> str:
    """Return a message with all conflicts, or with the file that has them; `written` says whether there is one yet."""
    named = ", ".join(sorted(conflicts)[:NAMED])
    if len(conflicts) > NAMED:
        where = "are" if written else "will be, after a run without check mode,"
        named += f" and {len(conflicts) - NAMED} more; all {where} in {conflicts_file(ledger)} on the host"
    return f"these addresses belong to identities that are not synthetic users, and were not changed: {named}"


def write_progress(path: str, told: Mapping[str, float]) -> None:
    """Write what a call has done so far, for the run that waits for it."""
    memory.write_lines(path, [json.dumps(dict(told)).encode() + b"\n"])
