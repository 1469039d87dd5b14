# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Invent people's names with Faker. Runs on the controller only, which has the package."""

from __future__ import annotations

from collections.abc import Iterable

from faker import Faker

LOCALE = "en_US"


def names(people_set: str, seed: str, indexes: Iterable[int]) -> dict[int, dict[str, str]]:
    """Return {index: {first, last}}. A name depends on set, seed and index only, not on who else is asked for."""
    fake = Faker(LOCALE)
    found = {}
    for index in indexes:
        fake.seed_instance(f"{people_set}\0{seed}\0{index}")
        found[index] = {"first": fake.first_name(), "last": fake.last_name()}
    return found
