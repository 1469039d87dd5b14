# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The people file, with one line for each synthetic user of a set."""

from __future__ import annotations

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
