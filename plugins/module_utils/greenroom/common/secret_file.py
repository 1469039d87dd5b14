# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Secrets that a module gets in a file instead of as arguments, which debug logs and kept module files show."""

from __future__ import annotations

import json
import os


def take(path: str | None) -> dict[str, str]:
    """Return the secrets in a file, and remove it; nothing without a path."""
    if not path:
        return {}
    with open(path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)) as file:
        os.unlink(path)
        return {str(key): str(value) for key, value in json.load(file).items()}
