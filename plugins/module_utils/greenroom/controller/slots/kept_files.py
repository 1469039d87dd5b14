# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The volumes that app hosts have, and those that no slot uses any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...switch.bluegreen import SLOTS
from ..catalogue.volumes import VOLUMES_FOLDER, folder_of, owned


def kept_files(listings: Mapping[str, Sequence[str]], bundles: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return a line for each volume of each host; `listings` = {host: [folder below the folder of all volumes]}."""
    used = {
        folder_of(volume, name, slot).removeprefix(f"{VOLUMES_FOLDER}/")
        for bundle in bundles.values()
        for _, _, name, volume in owned(bundle["services"])
        for slot in SLOTS
    }
    return {
        host: [folder if folder in used else f"{folder} (no slot uses it)" for folder in sorted(folders)]
        for host, folders in listings.items()
        if folders
    }
