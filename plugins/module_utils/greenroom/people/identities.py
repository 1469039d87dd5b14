# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which identities in Ory Kratos are the synthetic users of a recipe.

What Greenroom creates carries a mark in `metadata_admin`. Nothing without that mark, and the proof that the mark is its
own (`ownership`), is ever changed or removed, except leftovers: identities that signed up with an address that only
checks use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .client import Identity
from .ownership import SIGNED, UNSIGNED, Seal, texts_in
from .recipe.recipe import MARK, Recipe

CURRENT, OUTDATED, EXTRA = "current", "outdated", "extra"


def mark_of(identity: Identity, user_set: str) -> Mapping[str, Any] | None:
    """Return the mark of an identity that belongs to the set, None for any other identity."""
    return _metadata(identity)[MARK] if set_of(identity) == user_set else None


def set_of(identity: Identity) -> str:
    """Return the name of the set in the mark of an identity, empty without one."""
    mark = _metadata(identity).get(MARK)
    return str(mark.get("set") or "") if isinstance(mark, dict) else ""


def is_leftover(identity: Identity, beginnings: tuple[str, ...], domain: str) -> bool:
    """Return whether an identity has no mark, and only addresses with one of these beginnings, in the domain."""
    addresses = [text.lower() for text in _texts(identity) if "@" in text]
    ending = f"@{domain}"
    fits = all(address.startswith(beginnings) and address.endswith(ending) for address in addresses)
    return bool(addresses) and fits and MARK not in _metadata(identity)


def key_of(mark: Mapping[str, Any]) -> str:
    """Return the key of the user that a mark names; marks without a `key` are from before there were personas."""
    return str(mark.get("key", mark.get("index")))


def is_wanted(recipe: Recipe, mark: Mapping[str, Any]) -> bool:
    """Return whether the recipe has a user with this mark. A persona stays the same under another seed."""
    key = key_of(mark)
    return key in recipe and (mark.get("seed") == recipe.seed or not key.isdecimal())


def proven_key(recipe: Recipe, seal: Seal, identity: Identity) -> str:
    """Return the key of the wanted user that an identity proves to be, or an empty string."""
    mark = mark_of(identity, recipe.set)
    if mark is None or not is_wanted(recipe, mark):
        return ""
    # What a run with a key created is signed.
    enough = (SIGNED,) if seal.key else (SIGNED, UNSIGNED)
    return key_of(mark) if seal.proof(identity, mark) in enough else ""


def addresses_of(recipe: Recipe, identity: Identity) -> Iterator[tuple[str, str]]:
    """Yield the key and address of each user of the recipe whose address this identity has."""
    for text in _texts(identity):
        address = text.lower()
        key = recipe.key_at(address)
        if key is not None:
            yield key, address


def verified_addresses(identity: Mapping[str, Any]) -> dict[str, bool]:
    """Return {address: whether it is verified}, in the identity's order."""
    found = identity.get("verifiable_addresses") or []
    return {str(each.get("value")).lower(): bool(each.get("verified")) for each in found}


def _metadata(identity: Identity) -> Mapping[str, Any]:
    """Return the metadata of an identity; other programs may have put any value there."""
    found = identity.get("metadata_admin")
    return found if isinstance(found, dict) else {}


def _texts(identity: Identity) -> Iterator[str]:
    """Yield the strings of an identity that may be addresses: its traits, addresses and login names."""
    pending: list[Any] = [identity.get("traits")]
    for kind in ("verifiable_addresses", "recovery_addresses"):
        pending += [each.get("value") for each in identity.get(kind) or []]
    for credential in (identity.get("credentials") or {}).values():
        pending += credential.get("identifiers") or []
    yield from texts_in(pending)


def logs_in_by_address(schema: Any) -> bool:
    """Return whether users with this identity schema log in with an address."""
    if isinstance(schema, dict):
        kratos = schema.get("ory.sh/kratos")
        password = kratos.get("credentials", {}).get("password", {}) if isinstance(kratos, dict) else {}
        if password.get("identifier") and schema.get("format") == "email":
            return True
        return any(logs_in_by_address(each) for each in schema.values())
    return isinstance(schema, list) and any(logs_in_by_address(each) for each in schema)
