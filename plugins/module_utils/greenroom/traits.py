# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Traits from a Kratos identity schema."""

from __future__ import annotations

from .personas import PeopleError


class TraitError(PeopleError):
    """A trait that nothing generates; the text begins with its path and says what to do."""
