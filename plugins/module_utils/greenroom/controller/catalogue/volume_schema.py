# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The schema of `volumes` in service.yml."""

from __future__ import annotations

from .schema_terms import MOUNT, NAME, mapping, named
from .volumes import SHARED

VOLUMES = named(
    mapping(
        {
            "path": MOUNT,
            "shared": {"enum": list(SHARED)},
            "of": NAME,
            "read_only": {"type": "boolean"},
            "per_host": {"type": "boolean"},
            "commands": {"type": "boolean"},
        },
        ["path"],
    ),
    NAME["pattern"],
    NAME["description"],
)
