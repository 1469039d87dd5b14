# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs a script next to this file with the rendered files of one edge host, in a container of the hosts' image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from greenroom_lab import cache, packages, podman

FOLDER = Path(__file__).parent
SCRIPTS = ("edge.py", "flood.py", "reach.py", "reloads.py", "share.py", "size.py", "visits.py")
# Programs that scripts run.
PROGRAMS = FOLDER.parents[1] / "bench/flood"


def carried_out(script: str, rendered: Path, given: Any) -> Any:
    """Run `script` with `given` as its input, both JSON, and return its output.

    `rendered` has the files of the host. The container has no network but its own loopback.
    """
    podman.setup()
    with cache.only_one():
        image = packages.installed()
    mounts = [f"{FOLDER / name}:/{name}:ro" for name in SCRIPTS]
    mounts += [f"{PROGRAMS}:/bench:ro"]
    mounts += [f"{rendered}:/rendered:ro"]
    words = ["run", "--rm", "-i", "--privileged", "--network=none", *(f"--volume={mount}" for mount in mounts)]
    output = podman.call(*words, image, "python3", f"/{script}", "/rendered", stdin=json.dumps(given))
    return json.loads(output.splitlines()[-1])
