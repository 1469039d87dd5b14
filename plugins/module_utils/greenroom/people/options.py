# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The options of the module identity_seed, and the call that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import population, users

ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "public_url": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "exact", "absent"], "default": "present"},
    "set": {"type": "str", "required": True},
    "seed": {"type": "str", "default": "1"},
    "count": {"type": "int", "default": 100},
    "domain": {"type": "str", "required": True},
    "leftovers": {"type": "list", "elements": "str", "default": []},
    "removals": {"type": "int", "default": 0},
    "removals_users": {"type": "int", "default": 10},
    "removals_percent": {"type": "float", "default": 10},
    "renew": {"type": "bool", "default": False},
    "schema_id": {"type": "str", "default": "default"},
    "locales": {"type": "list", "elements": "str", "default": ["en_US"]},
    "traits": {"type": "dict", "default": {}},
    "personas": {"type": "list", "elements": "raw", "default": []},
    "verified": {"type": "float", "default": 1},
    "metadata_public": {"type": "dict", "default": {}},
    "metadata_admin": {"type": "dict", "default": {}},
    "password": {"type": "str", "no_log": True},
    "password_key": {"type": "str", "no_log": True},
    "cost": {"type": "int", "default": 12},
    "hashes": {"type": "str", "choices": ["shared", "each"], "default": "shared"},
    "allowed": {"type": "bool", "required": True},
    "ledger": {"type": "path"},
    "people_file": {"type": "path"},
    "generators": {"type": "path", "default": "/var/lib/greenroom/python"},
    "connections": {"type": "int", "default": 2},
    "timeout": {"type": "float", "default": 60},
    "deadline": {"type": "float", "default": 14400},
    "_operation": {"type": "dict"},
    "_generator": {"type": "dict"},
    "_password_mark": {"type": "str", "no_log": True},
    "_secrets": {"type": "path"},
}
RECIPE = (
    *("set", "seed", "count", "domain", "schema_id", "locales", "traits", "personas", "verified"),
    *("metadata_public", "metadata_admin"),
)


def order_of(given: dict[str, Any], secrets: Mapping[str, str]) -> population.Order:
    """Return the order for the given arguments and the `secrets` for `hasher`; raises users.UsersError."""
    generator, operation = given["_generator"] or {}, given["_operation"] or {}
    recipe = users.Recipe.of(
        {
            **{key: given[key] for key in RECIPE},
            "password": given["_password_mark"] or "",
            "generator": generator.get("version", ""),
        }
    )
    if not 1 <= given["connections"] <= 32:
        raise users.UsersError(f"connections must be 1 to 32, not {given['connections']}")
    path = given["ledger"] or f"{population.FOLDER}/{recipe.set}.db"

    return population.Order(
        recipe=recipe,
        state=given["state"],
        url=given["url"],
        public_url=given["public_url"],
        timeout=given["timeout"],
        deadline=given["deadline"],
        connections=given["connections"],
        ledger=path,
        people_file=given["people_file"] or f"{path.removesuffix('.db')}.jsonl",
        generators=given["generators"],
        leftovers=tuple(given["leftovers"]),
        removals=population.Removals(given["removals_users"], given["removals_percent"], given["removals"]),
        token=operation.get("token", "none"),
        holder=operation.get("holder", ""),
        seconds=float(operation.get("seconds", 15)),
        archive=generator.get("name", ""),
        renew=given["renew"],
        hash_of=users.hasher(secrets),
    )
