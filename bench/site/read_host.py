# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs on a host: prints the current files, folders and units of Greenroom's trees as JSON.

{"live": slot, or "" if this isn't an edge host, "trees": {name: {"files": {path: {owner, group, mode, content in
base64}}, "folders": {path: {owner, group, mode}}}}, "units": {name: {active, enabled, invocation}}}
"""

from __future__ import annotations

import base64
import grp
import json
import pwd
import subprocess
from pathlib import Path
from typing import Any

STATE = Path("/var/lib/greenroom")


def rights(path: Path) -> dict[str, str]:
    """Return the owner, group and mode of a path."""
    status = path.stat()
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return {"owner": owner, "group": group, "mode": f"{status.st_mode & 0o7777:04o}"}


def tree(manifest: Path) -> dict[str, Any]:
    """Return the files and folders in a manifest."""
    content = json.loads(manifest.read_text())
    files = {path: Path(path) for path in content["files"]}
    folders = {path: Path(path) for path in [*content["created"], *content["directories"]]}
    return {
        "files": {
            name: {**rights(path), "content": base64.b64encode(path.read_bytes()).decode()}
            for name, path in files.items()
        },
        "folders": {name: rights(path) for name, path in folders.items()},
    }


def unit(name: str) -> dict[str, str]:
    """Return the state of a unit; its invocation ID changes with each start."""
    words = ["systemctl", "show", "-p", "ActiveState", "-p", "UnitFileState", "-p", "InvocationID", name]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    shown = dict(line.split("=", 1) for line in lines)
    return {
        "active": shown["ActiveState"],
        "enabled": shown["UnitFileState"],
        "invocation": shown.get("InvocationID", ""),
    }


def main() -> None:
    """Print everything."""
    manifests = {path.stem: path for path in sorted((STATE / "trees").glob("*.json"))}
    bundles = sorted(Path("/etc/greenroom/slots").glob("*/bundle.json"))
    manifests |= {f"slot-{path.parent.name}": path for path in bundles}
    edge = STATE / "edge/state.json"
    units = [path.name.removesuffix(".json") for path in sorted((STATE / "units").glob("*.json"))]
    found = {
        "live": json.loads(edge.read_text())["live"] if edge.exists() else "",
        "trees": {name: tree(path) for name, path in manifests.items()},
        "units": {name: unit(name) for name in units},
    }
    print(json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    main()
