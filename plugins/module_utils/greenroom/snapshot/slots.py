# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which slot serves the public, as an edge host of Greenroom has written it down."""

from __future__ import annotations

import json

from .reading import Items, text

STATE = "/var/lib/greenroom/edge/state.json"


def slots() -> Items:
    """Yield `live`, on edge hosts only."""
    if state := text(STATE):
        yield "live", json.loads(state)["live"]
