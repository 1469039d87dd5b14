# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters about synthetic people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.greenroom.people import people


def person_address(key: int | str, people_set: str, seed: str | int, domain: str) -> str:
    """Return the address of the person with this number, or of the persona with this name, as identity_seed makes it.

    The number is any from 1, the name need not be one of a default persona.
    """
    try:
        if not people.is_key(key):
            raise people.PeopleError(f"'{key}' is neither a user's number nor a persona's name")
        return str(people.Recipe(people_set, str(seed), 0, domain).address(key))
    except people.PeopleError as error:
        raise AnsibleFilterError(str(error)) from error


def person_password(key: int | str, secret: str, people_set: str, seed: str | int) -> str:
    """Return the password of a person whose password follows from the key `secret`, for whoever tests as them."""
    try:
        return str(people.person_password(secret, people_set, str(seed), key))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def personas_wanted(values: Iterable[Any], release: str, features: Collection[str] = ()) -> list[Any]:
    """Return those of a list of personas that have a purpose where `release` runs with `features`."""
    try:
        return list(people.personas_wanted(values, str(release), features))
    except people.PeopleError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {
            "person_address": person_address,
            "person_password": person_password,
            "personas_wanted": personas_wanted,
        }
