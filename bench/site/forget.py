# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs on a host: removes the records of a template_tree call, `forget.py NAME MANIFEST`, but not its files.

The files belong to other calls, too. Prints the record files that it changed or removed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

RECORDS = Path("/var/lib/greenroom/units")


def forget(name: str, manifest: Path, records: Path = RECORDS) -> list[Path]:
    """Remove the manifest and the call's entries in the units' records; return the changed files."""
    changed = []
    for path in sorted(records.glob("*.json")):
        record = json.loads(path.read_text())
        if record.pop(name, None) is None:
            continue
        changed.append(path)
        if not record:
            path.unlink()
            continue
        # As template_tree writes it: atomically, and readable only for root.
        new = path.with_name(f".{path.name}.{name}")
        new.touch(mode=0o600)
        new.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
        os.replace(new, path)
    if manifest.exists():
        manifest.unlink()
        changed.append(manifest)
    return changed


if __name__ == "__main__":
    for each in forget(sys.argv[1], Path(sys.argv[2])):
        print(each)
