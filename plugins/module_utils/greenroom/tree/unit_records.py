# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A record per unit, on the host: which files it has loaded, and when."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from . import manifest


class Records:
    """The records of units. A unit has one for each `template_tree` call that manages it."""

    def __init__(self, tree_name: str, folder: str | None = None) -> None:
        """Use the records of the call of this name."""
        self.tree_name = tree_name
        self.folder = folder or os.path.join(manifest.STATE_DIRECTORY, "units")

    def get(self, unit: str) -> dict[str, Any]:
        """Return {hash, invocation, changed, loaded_drift}, empty if there is no record."""
        record = self._all(unit).get(self.tree_name, {})
        return record if isinstance(record, dict) else {}

    def set(self, unit: str, record: dict[str, Any]) -> None:
        """Store a record if it differs; an empty one removes it."""
        records = self._all(unit)
        if records.get(self.tree_name, {}) == record:
            return
        records.pop(self.tree_name, None)
        if record:
            records[self.tree_name] = record
        if records:
            manifest.write_json(self._path(unit), records)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(unit))

    def _path(self, unit: str) -> str:
        return os.path.join(self.folder, f"{unit}.json")

    def _all(self, unit: str) -> dict[str, Any]:
        # Without a readable record, the times decide.
        with contextlib.suppress(FileNotFoundError, ValueError), open(self._path(unit), encoding="utf-8") as stream:
            records = json.load(stream)
            return records if isinstance(records, dict) else {}
        return {}
