# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Traits that are somebody's own: addresses and names to log in with, which no two people share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .person import Someone
from .schema import EXTENSION

_CHANNELS = {"email": "address", "sms": "phone", "phone": "phone"}


@dataclass
class Own:
    """One such trait: an e-mail `address`, a `phone` number or a `username`.

    `login` says whether people log in with it, `via` how Kratos verifies it, `suffix` what tells it from the person's
    first trait of the kind.
    """

    path: str
    kind: str
    login: bool
    required: bool
    via: str
    suffix: str = ""

    def value(self, someone: Someone) -> str:
        """Return the value for a person, and remember it when Kratos verifies such."""
        if self.kind == "phone":
            value = someone.phone
        else:
            marks = [each for each in (self.suffix, *map(str, someone.position)) if each and each != "0"]
            value = ".".join([someone.local, *marks])
            if self.kind == "address":
                value = f"{value}@{someone.domain}"
        if self.via:
            someone.verifiable.append((value, self.via))
        return value


def own_trait(node: Mapping[str, Any], path: str, fact: str) -> Own | None:
    """Return what a trait is to Kratos when that makes it somebody's own; `fact` is what it holds."""
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
    return Own(path, kind, login, login or any(channels), channels[0])


def tell_apart(traits: Sequence[Own]) -> Own | None:
    """Give each trait a suffix of its own, none to the first of each kind; returns the one that people log in with.

    The first is the one to log in with: an address rather than a name, a name rather than a number.
    """
    order = ("address", "username", "phone")
    ranked = sorted(traits, key=lambda own: (not own.login, not own.required, order.index(own.kind)))
    used: set[tuple[str, str]] = set()
    for own in ranked:
        name = re.sub(r"[^a-z0-9]", "", own.path.lower().removesuffix("[]").split(".")[-1])[:10] or "x"
        choices = ("", name, *(f"{name[:8]}{number}" for number in range(2, 99)))
        own.suffix = next(each for each in choices if (own.kind, each) not in used)
        used.add((own.kind, own.suffix))
    return ranked[0] if ranked and ranked[0].login else None
