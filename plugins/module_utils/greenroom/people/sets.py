# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which sets of synthetic users there are in Ory Kratos, told from the marks alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .client import Identity
from .identities import key_of, set_of
from .ownership import UNPROVEN, Seal, is_as_made, logins_of
from .recipe.recipe import MARK


def sets_in(pages: Iterable[Iterable[Identity]]) -> dict[str, Any]:
    """Return the numbers of identities, and of users of each set."""
    sets: dict[str, dict[str, Any]] = {}
    total = others = 0
    for page in pages:
        for identity in page:
            total += 1
            name = set_of(identity)
            if name:
                _count(sets.setdefault(name, _none()), name, identity)
            else:
                others += 1
    for found in sets.values():
        for key in ("seeds", "domains"):
            found[key] = sorted(found[key])
    return {"sets": dict(sorted(sets.items())), "others": others, "total": total}


def _none() -> dict[str, Any]:
    counts = dict.fromkeys(("users", "personas", "unsigned", "drifted", "unproven"), 0)
    return {**counts, "seeds": set(), "domains": set()}


def _count(found: dict[str, Any], name: str, identity: Identity) -> None:
    mark = identity["metadata_admin"][MARK]
    # The key that signs marks stays on the controller, so this compares only the logins.
    if Seal(name).proof(identity, mark) == UNPROVEN:
        found["unproven"] += 1
        return
    found["users"] += 1
    found["personas"] += not key_of(mark).isdecimal()
    found["unsigned"] += "signature" not in mark
    found["drifted"] += "content" in mark and not is_as_made(identity, mark)
    found["seeds"].add(str(mark.get("seed")))
    found["domains"].update(login.partition("@")[2] for login in logins_of(identity) if "@" in login)
