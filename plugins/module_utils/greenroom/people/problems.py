# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Messages about users that an operation could not create, update or remove."""

from __future__ import annotations

from .ownership import complaint
from .people_file import named
from .progress import Progress


def problems(progress: Progress, ledger: str, written: bool) -> str:
    """Return a message about what failed, or an empty string; `written` says whether the file of conflicts exists."""
    found = []
    if progress.conflicts:
        them = named(ledger, progress.conflicts, written)
        found.append(f"these addresses belong to identities that are not synthetic users, and were not changed: {them}")
    if progress.unproven:
        found.append(complaint(named(ledger, progress.unproven, written)))
    if progress.refused:
        more = f" and {progress.refused - 3} more" if progress.refused > 3 else ""
        first = "; ".join(in_order(progress.problems)[:3])
        found.append(f"{progress.refused} users could not be created, updated or removed: {first}{more}")
    return "; ".join(found)


def in_order(lines: list[str]) -> list[str]:
    """Sort `user <key>: <reason>` by key, numbers numerically, because several threads add them in any order."""
    return sorted(lines, key=lambda line: (len(line.partition(":")[0]), line))
