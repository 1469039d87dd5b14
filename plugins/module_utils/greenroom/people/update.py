# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Changes a synthetic user to what the recipe says. The user keeps the ID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .client import Identity
from .identities import verified_addresses
from .ownership import Seal, merged
from .recipe.recipe import MARK
from .server import Server


def replace_user(server: Server, seal: Seal, there: Identity, made: Mapping[str, Any]) -> None:
    """Update a user to a sealed body. Kratos may need two requests, if addresses are not verified as wanted.

    There, only PUT sets a password, and only PATCH says which addresses are verified. The mark is completed last.
    """
    if server.updates_at_once:
        server.update(there["id"], merged(made, there))
        return
    wanted, kept = verified_addresses(made), verified_addresses(there)
    finished = all(kept.get(address, False) == aim for address, aim in wanted.items())
    found = server.update(there["id"], merged(made if finished else seal.sealed(made, recipe=""), there))
    changes = [] if finished else [_replace(f"/metadata_admin/{MARK}", made["metadata_admin"][MARK])]
    for number, address in enumerate(found.get("verifiable_addresses") or []):
        aim = wanted.get(str(address.get("value")).lower())
        if aim is not None and bool(address.get("verified")) != aim:
            path = f"/verifiable_addresses/{number}"
            changes += [_replace(f"{path}/verified", aim), _replace(f"{path}/status", _STATUS[aim])]
    if changes:
        server.patch(there["id"], changes)


_STATUS = {True: "completed", False: "pending"}


def _replace(path: str, value: Any) -> dict[str, Any]:
    """Return the operation of a JSON patch that replaces a value."""
    return {"op": "replace", "path": path, "value": value}
