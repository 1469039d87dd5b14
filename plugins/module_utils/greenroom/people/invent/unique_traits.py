# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Traits that are unique for each user: addresses, and names to log in with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .person import Person
from .schema import EXTENSION

_CHANNELS = {"email": "address", "sms": "phone", "phone": "phone"}


@dataclass
class UniqueTrait:
    """A unique trait: an email `address`, a `phone` number or a `username`.

    `login` is whether users log in with it, `via` how Kratos verifies it. `suffix` distinguishes it from the user's
    first trait of the same kind.
    """

    path: str
    kind: str
    login: bool
    required: bool
    via: str
    suffix: str = ""

    def value(self, person: Person) -> str:
        """Return a user's value, and add it to `person.verifiable` if Kratos verifies it."""
        if self.kind == "phone":
            value = person.phone
        else:
            marks = [each for each in (self.suffix, *map(str, person.position)) if each and each != "0"]
            value = ".".join([person.local, *marks])
            if self.kind == "address":
                value = f"{value}@{person.domain}"
        if self.via:
            person.verifiable.append((value, self.via))
        return value


def unique_trait(node: Mapping[str, Any], path: str, fact: str) -> UniqueTrait | None:
    """Return the unique trait that a schema node describes, or None if it isn't unique; `fact` is what it holds."""
    extension = node.get(EXTENSION)
    extension = extension if isinstance(extension, Mapping) else {}
    credentials = extension.get("credentials") or {}
    login = any(isinstance(each, Mapping) and bool(each.get("identifier")) for each in credentials.values())
    channels = [
        str((each or {}).get("via") or "")
        for each in (extension.get("verification"), extension.get("recovery"), credentials.get("code"))
    ]
    if not (login or any(channels) or fact == "address"):
        return None
    kind = next((_CHANNELS[each] for each in channels if each in _CHANNELS), "")
    if not kind:
        kind = fact if fact in ("address", "phone") else "username"
    return UniqueTrait(path, kind, login, login or any(channels), channels[0])


def assign_suffixes(traits: Sequence[UniqueTrait]) -> UniqueTrait | None:
    """Give each trait of a kind its own suffix, and the first of each kind none; return the one that users log in with.

    Traits to log in with come first, then required ones; addresses come before user names, those before phone numbers.
    """
    order = ("address", "username", "phone")
    ranked = sorted(traits, key=lambda trait: (not trait.login, not trait.required, order.index(trait.kind)))
    used: set[tuple[str, str]] = set()
    for trait in ranked:
        name = re.sub(r"[^a-z0-9]", "", trait.path.lower().removesuffix("[]").split(".")[-1])[:10] or "x"
        choices = ("", name, *(f"{name[:8]}{number}" for number in range(2, 99)))
        trait.suffix = next(each for each in choices if (trait.kind, each) not in used)
        used.add((trait.kind, trait.suffix))
    return ranked[0] if ranked and ranked[0].login else None
