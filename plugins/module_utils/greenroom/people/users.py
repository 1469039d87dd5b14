# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Synthetic users: their keys and addresses (`Recipe`), traits (`Inventor`) and passwords.

Importing this module needs only the standard library. An Inventor needs the generator, see `generator`.
"""

from __future__ import annotations

from .generator import archive_name, generator_archive, generator_digest, generator_version, use_generator
from .invent.inventor import Inventor
from .invent.schema import TraitError
from .passwords import derived_hash, hasher, pbkdf2_hash, person_password, set_key
from .recipe.personas import DEFAULT_PERSONAS, Persona, UsersError, personas_of, personas_wanted
from .recipe.recipe import MARK, NO_MAIL, Fingerprints, Recipe, is_key

__all__ = [
    "DEFAULT_PERSONAS",
    "MARK",
    "NO_MAIL",
    "Fingerprints",
    "Inventor",
    "Persona",
    "Recipe",
    "TraitError",
    "UsersError",
    "archive_name",
    "derived_hash",
    "generator_archive",
    "generator_digest",
    "generator_version",
    "hasher",
    "is_key",
    "pbkdf2_hash",
    "person_password",
    "personas_of",
    "personas_wanted",
    "set_key",
    "use_generator",
]
