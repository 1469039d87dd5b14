# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What personas have besides a password: second factors, accounts at sign-in providers, an organization.

Kratos 1.3 imports passwords and accounts at providers, but no second factor: it makes the secret of TOTP and the
recovery codes itself. So they are set up as a user does it, on Kratos' settings page. The admin API shows them later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .client import Identity, RefusedError
from .drift import FACTORS
from .identities import CURRENT, OUTDATED
from .kratos import Kratos
from .ledger import Ledger
from .progress import Progress
from .recipe.personas import Persona
from .recipe.recipe import Recipe
from .settings_page import SettingsPage


@dataclass(frozen=True)
class Difference:
    """What a persona's identity lacks, and what it has too much."""

    persona: Persona
    identity: Identity
    missing: tuple[str, ...]
    unwanted: tuple[str, ...]
    unlinked: dict[str, str]
    foreign: tuple[str, ...]
    organization: str | None

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return bool(self.missing or self.unwanted or self.unlinked or self.foreign or self.organization is not None)


class Credentials:
    """Compares and sets up the credentials of a recipe's personas.

    What a persona should not have is removed only with the state `exact`. With `present`, users from another recipe
    stay as they are.
    """

    def __init__(self, kratos: Kratos, recipe: Recipe, book: Ledger, state: str) -> None:
        self._kratos = kratos
        self._recipe = recipe
        self._book = book
        self._exact = state == "exact"
        # Without wishes, only `exact` has something to compare: a persona may have too much.
        personas = recipe.personas if state != "absent" else ()
        self._names = [each.name for each in personas if self._exact or each.has_credentials]

    def planned(self, conflicts: Collection[str], renew: bool = False) -> int:
        """Return how many personas `set_up` will change after users were created, except those in `conflicts`.

        With `renew`, `exact` creates outdated ones again, without what they had.
        """
        there = self._book.ids(self._names, (CURRENT,) if renew and self._exact else (CURRENT, OUTDATED))
        new = [name for name in self._names if name not in there and self._recipe.address(name) not in conflicts]
        wishes = sum(each.has_credentials for each in self._recipe.personas if each.name in new)
        kept = {name: identity for name, identity in self._ids().items() if name in there}
        return wishes + len(list(self._differences(kept)))

    def set_up(self, progress: Progress) -> None:
        """Give personas the credentials that they should have. Problems are noted in `progress`."""
        ids = self._ids()
        for difference in self._differences(ids):
            name = difference.persona.name
            try:
                self._kratos.repeated(partial(self._again, {name: ids[name]}))
                progress.equipped += 1
            except RefusedError as error:
                progress.refused += 1
                progress.problems.append(f"user {name}: {error.reason}")

    def _again(self, ids: Mapping[str, str]) -> None:
        """Compare and converge: an earlier try, whose response was lost, may have been carried out."""
        for difference in self._differences(ids):
            self._converge(difference)

    def _ids(self) -> dict[str, str]:
        return self._book.ids(self._names, (CURRENT, OUTDATED) if self._exact else (CURRENT,))

    def _differences(self, ids: Mapping[str, str]) -> Iterator[Difference]:
        """Yield the differences of personas that exist, {name: id}; one request for up to 100 of them."""
        names = {each: name for name, each in ids.items()}
        for page in self._kratos.by_id(list(names), (*FACTORS, "oidc")):
            for identity in page:
                persona = self._recipe.persona(names[identity["id"]])
                found = self._compare(persona, identity) if persona is not None else None
                if found is not None and found.exists:
                    yield found

    def _compare(self, persona: Persona, identity: Identity) -> Difference:
        there = {kind for kind in FACTORS if _usable(kind, identity)}
        wanted = persona.links(self._recipe.address(persona.name))
        linked = (identity.get("credentials") or {}).get("oidc", {}).get("identifiers") or []
        links = {f"{provider}:{subject}": (provider, subject) for provider, subject in wanted.items()}
        organization = identity.get("organization_id") or ""
        other = organization != persona.organization and (self._exact or persona.organization)
        return Difference(
            persona=persona,
            identity=identity,
            missing=tuple(kind for kind in persona.factors if kind not in there),
            unwanted=tuple(sorted(there - {*persona.factors})) if self._exact else (),
            unlinked=dict(pair for name, pair in links.items() if name not in linked),
            foreign=tuple(name for name in linked if name not in links) if self._exact else (),
            organization=persona.organization if other else None,
        )

    def _converge(self, difference: Difference) -> None:
        """Set up what is missing, and remove what is too much. Raises RefusedError."""
        identity = difference.identity["id"]
        for name in difference.foreign:
            self._kratos.remove_credential(identity, "oidc", identifier=name)
        if difference.unlinked:
            self._kratos.link(difference.identity, difference.unlinked)
        if difference.organization is not None:
            self._organize(identity, difference)
        # Someone with one factor can't set up the other one without it, so both are new.
        gone = difference.persona.factors if difference.missing else ()
        for kind in dict.fromkeys((*difference.unwanted, *gone)):
            if kind in (difference.identity.get("credentials") or {}):
                self._kratos.remove_credential(identity, kind)
        if difference.missing:
            _set_up(self._kratos, identity, difference.persona.factors)

    def _organize(self, identity: str, difference: Difference) -> None:
        value = difference.organization or None
        there = self._kratos.patch(identity, [{"op": "replace", "path": "/organization_id", "value": value}])
        if (there.get("organization_id") or "") != difference.organization:
            raise RefusedError(self._kratos.url, 200, "this Kratos keeps no organization_id")


def _usable(kind: str, identity: Identity) -> bool:
    """Return whether an identity has a factor; recovery codes that are all used up don't count."""
    found: dict[str, Any] | None = (identity.get("credentials") or {}).get(kind)
    if found is None or kind == "totp":
        return found is not None
    codes = (found.get("config") or {}).get("recovery_codes") or []
    return any(not each.get("used_at") for each in codes)


def _set_up(kratos: Kratos, identity: str, factors: Sequence[str]) -> None:
    page = SettingsPage(kratos, identity)
    try:
        if "totp" in factors:
            page.set_up_totp()
        if "lookup_secret" in factors:
            page.set_up_recovery_codes()
    finally:
        page.log_out()
