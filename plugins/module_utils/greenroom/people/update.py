# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Changes a synthetic user in Ory Kratos to what the recipe says. The user keeps the ID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .identities import verified_addresses
from .kratos import Kratos
from .kratos_client import Identity
from .ownership import Seal, merged
from .recipe.recipe import MARK


def replace_user(kratos: Kratos, seal: Seal, there: Identity, made: Mapping[str, Any]) -> None:
    """Update a user to a sealed body, in one request, or in two if addresses are not verified as wanted after it.

    Only PUT sets a password, and only PATCH says which addresses are verified. The mark is completed last.
    """
    wanted, kept = verified_addresses(made), verified_addresses(there)
    finished = all(kept.get(address, False) == aim for address, aim in wanted.items())
    found = kratos.update(there["id"], merged(made if finished else seal.sealed(made, recipe=""), there))
    changes = [] if finished else [_replace(f"/metadata_admin/{MARK}", made["metadata_admin"][MARK])]
    for number, address in enumerate(found.get("verifiable_addresses") or []):
        aim = wanted.get(str(address.get("value")).lower())
        if aim is not None and bool(address.get("verified")) != aim:
            path = f"/verifiable_addresses/{number}"
            changes += [_replace(f"{path}/verified", aim), _replace(f"{path}/status", _STATUS[aim])]
    if changes:
        kratos.patch(there["id"], changes)


_STATUS = {True: "completed", False: "pending"}


def _replace(path: str, value: Any) -> dict[str, Any]:
    """Return the operation of a JSON patch that replaces a value."""
    return {"op": "replace", "path": path, "value": value}
