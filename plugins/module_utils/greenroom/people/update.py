# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Changes a synthetic user in Ory Kratos to what the recipe says. The user keeps the ID."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from .kratos import Kratos
from .ownership import Seal, merged
from .passwords import derived_hash
from .recipe.recipe import MARK


def replace_user(kratos: Kratos, seal: Seal, identity: str, made: Mapping[str, Any]) -> None:
    """Update a user to a sealed body. Metadata of other programs stays.

    The first request can't set which addresses are verified, so the mark is completed last.
    """
    there = kratos.identity(identity)
    if "credentials" not in made and "password" in (there.get("credentials") or {}):
        # Kratos removes no password, so one that nobody knows replaces it.
        nobody_knows = derived_hash(secrets.token_urlsafe(32))
        made = seal.sealed({**made, "credentials": {"password": {"config": {"hashed_password": nobody_knows}}}})
    done = kratos.update(identity, merged(seal.sealed(made, recipe=""), there))
    wanted = {each["value"].lower(): each for each in made.get("verifiable_addresses") or []}
    changes = [{"op": "replace", "path": f"/metadata_admin/{MARK}", "value": made["metadata_admin"][MARK]}]
    for number, address in enumerate(done.get("verifiable_addresses") or []):
        aim = wanted.get(str(address.get("value")).lower())
        if aim is not None and bool(address.get("verified")) != aim["verified"]:
            path = f"/verifiable_addresses/{number}"
            changes += [{"op": "replace", "path": f"{path}/{key}", "value": aim[key]} for key in ("verified", "status")]
    kratos.patch(identity, changes)
