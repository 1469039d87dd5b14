# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ages as operators type them, such as `2h`."""

from __future__ import annotations

import re

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d+)\s*([mhdw])")


def age(text: str) -> tuple[int, str] | None:
    """Return the number and the unit of an age (`minutes`, `hours`, `days` or `weeks`); None for any other text."""
    found = _AGE.fullmatch(text)
    return (int(found[1]), _UNITS[found[2]]) if found else None
