# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which slot serves the public, as an edge host of Greenroom has written it down."""

from __future__ import annotations

import glob
import json
import os

from .reading import Items, text

STATE = "/var/lib/greenroom/edge/state.json"
BUNDLES = "/etc/greenroom/edge-*.json"


def slots() -> Items:
    """Yield `live` and `bundle of <slot>`, the ID of what the slot runs; on edge hosts only."""
    if state := text(STATE):
        yield "live", json.loads(state)["live"]
    for path in glob.glob(BUNDLES):
        slot = os.path.basename(path).removeprefix("edge-").removesuffix(".json")
        yield f"bundle of {slot}", json.loads(text(path)).get("id", "")
