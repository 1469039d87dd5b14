# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs on a host: forgets a call of template_tree, `forget.py NAME MANIFEST`, without removing what it put there.

What it held belongs to other calls, which go on holding it. Prints the files that it changed or removed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

RECORDS = Path("/var/lib/greenroom/units")


def forget(name: str, manifest: Path, records: Path = RECORDS) -> list[Path]:
    """Remove the manifest, and the call's name from what units had loaded; return what was changed."""
    changed = []
    for path in sorted(records.glob("*.json")):
        record = json.loads(path.read_text())
        if record.pop(name, None) is None:
            continue
        changed.append(path)
        if not record:
            path.unlink()
            continue
        # As template_tree writes it: whole or not at all, and for root's eyes.
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
