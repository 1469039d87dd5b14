# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The volumes that app hosts have, those that no slot uses any more, and what nothing backs up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...data_stores.databases import own_databases
from ...switch.bluegreen import SLOTS
from ..catalogue.volumes import VOLUMES_FOLDER, folder_of, owned, volume_name


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


def not_backed_up(catalogue: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> str:
    """Return what no ops host backs up, and why, or "". A database server elsewhere has backups of its own."""
    if groups.get("ops"):
        return ""
    found = [volume_name(service, name) for service, _, name, _ in owned(catalogue)]
    if groups.get("data"):
        found += sorted(f"database {name}" for service in catalogue.values() for name in own_databases(service))
    return f'{", ".join(found)}: no host is in the group "ops" (docs/backup.md)' if found else ""
