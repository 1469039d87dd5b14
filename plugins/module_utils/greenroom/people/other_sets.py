# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The other sets that this host has seeded, from their ledgers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from .recipe.recipe import OtherSet


def other_sets(ledger: str) -> Iterator[OtherSet]:
    """Yield the sets of all ledgers in the folder of this one, and its own set with other seeds.

    Skips ledgers that can't be read: Kratos refuses a second user with the same phone number anyway.
    """
    for path in sorted(Path(ledger).absolute().parent.glob("*.db")):
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=rw", timeout=1, uri=True)) as database:
            personas = tuple(name for (name,) in database.execute("SELECT key FROM people WHERE key GLOB '[a-z]*'"))
            for (seed,) in database.execute("SELECT DISTINCT seed FROM people"):
                yield OtherSet(path.stem, seed, personas)
