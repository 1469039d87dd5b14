# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What each unit had loaded after the last call, kept in a file on the host."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from . import manifest


class Records:
    """What units had loaded, kept on the host for each unit and each call that has to do with it."""

    def __init__(self, tree_name: str, folder: str | None = None) -> None:
        """Use the records of the call of this name."""
        self.tree_name = tree_name
        self.folder = folder or os.path.join(manifest.STATE_DIRECTORY, "units")

    def get(self, unit: str) -> dict[str, Any]:
        """Return {hash, invocation, changed, loaded_drift}, empty when nothing is known."""
        record = self._all(unit).get(self.tree_name, {})
        return record if isinstance(record, dict) else {}

    def set(self, unit: str, record: dict[str, Any]) -> None:
        """Keep a record, written only when it differs; an empty one is removed."""
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
        # A record that can't be read says nothing: the times decide then.
        with contextlib.suppress(FileNotFoundError, ValueError), open(self._path(unit), encoding="utf-8") as stream:
            records = json.load(stream)
            return records if isinstance(records, dict) else {}
        return {}
