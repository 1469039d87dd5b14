# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What synthetic people are like: complete identities for Kratos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .recipe import MARK, Recipe


class Inventor:
    """Makes the identities of a recipe's people under Kratos' identity schema."""

    def __init__(self, recipe: Recipe, schema: Mapping[str, Any]) -> None:
        self.recipe = recipe
        self._fingerprints = recipe.fingerprints(schema)

    def login(self, key: str | int) -> str:
        """Return what a person logs in with."""
        return self.recipe.address(key)

    def identity(self, key: str | int, password_hash: str = "") -> dict[str, Any]:
        """Return what Kratos takes for one person."""
        recipe, persona, address = self.recipe, self.recipe.persona(key), self.recipe.address(key)
        verified = persona is None or persona.verified is not False
        mark = {"set": recipe.set, "seed": recipe.seed, "key": str(key), "recipe": self._fingerprints.of(key)}
        identity: dict[str, Any] = {
            "schema_id": recipe.schema_id,
            "state": persona.state if persona else "active",
            "traits": {"email": address, "name": {"first": "First", "last": "Last"}},
            "verifiable_addresses": [
                {
                    "value": address,
                    "via": "email",
                    "verified": verified,
                    "status": "completed" if verified else "pending",
                }
            ],
            "metadata_admin": {**recipe.metadata_admin, MARK: mark},
        }
        if password_hash and recipe.has_password(key):
            identity["credentials"] = {"password": {"config": {"hashed_password": password_hash}}}
        return identity
