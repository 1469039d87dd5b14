# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Suggestions for misspelled names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the candidate most like `name` (difflib ratio of at least `cutoff`), or None."""
    found = difflib.get_close_matches(name, sorted(candidates), n=1, cutoff=cutoff)
    return found[0] if found else None


def suggestion(name: str, candidates: Iterable[str]) -> str:
    """Return `; did you mean "x"?` for the nearest candidate, or else a list of all candidates."""
    choice = sorted(candidates)
    best = nearest(name, choice)
    if best is not None:
        return f'; did you mean "{best}"?'
    return f"; known: {', '.join(choice)}" if choice else ""
