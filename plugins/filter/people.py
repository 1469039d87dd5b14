# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters about synthetic people."""

from __future__ import annotations

from collections.abc import Callable

from ansible.errors import AnsibleFilterError
from ansible.module_utils.greenroom import identities


def person_address(index: int, people_set: str, seed: str | int, domain: str) -> str:
    """Return the address of the person with number `index`, as identity_seed makes it."""
    try:
        return str(identities.People(people_set, str(seed), int(index), domain).address(int(index)))
    except identities.SeedError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return them by name."""
        return {"person_address": person_address}
