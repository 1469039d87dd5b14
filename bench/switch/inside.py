# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs a script with the hosts' HAProxy: in a container of their image, or in a folder with Debian's file system."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTALL = (
    'echo "deb [trusted=yes] file:/srv/packages ./" > /etc/apt/sources.list.d/tests.list; '
    "{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends haproxy; } "
    "> /tmp/log 2>&1 || { cat /tmp/log; exit 1; }; "
)


def run(script: str, *arguments: str, seconds: float = 600) -> str:
    """Run a module of this folder there, with the project's logic; returns its output. Raises if it fails.

    GREENROOM_DEBIAN names a folder with Debian 13's file system in which haproxy and python3 are installed. Without it,
    the module runs in a container of the hosts' image.
    """
    words = ["env", "PYTHONPATH=/stage", "python3", "-m", f"bench.switch.{script}", *arguments]
    with tempfile.TemporaryDirectory() as name:
        stage = Path(name)
        for part in ("bench/switch", "plugins/module_utils/greenroom"):
            shutil.copytree(ROOT / part, stage / part, ignore=shutil.ignore_patterns("__pycache__"))
        if folder := os.environ.get("GREENROOM_DEBIAN"):
            shutil.copytree(stage, Path(folder) / "stage", dirs_exist_ok=True)
            command = ["chroot", folder, *words]
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
            if done.returncode:
                raise RuntimeError(done.stdout + done.stderr)
            return done.stdout
        # Only containers need the lab's code.
        sys.path.append(str(ROOT / "lab"))
        parts = ("cache", "images", "packages", "podman")
        cache, images, packages, podman = (importlib.import_module(f"greenroom_lab.{part}") for part in parts)
        podman.setup()
        with cache.only_one():
            image, repository = images.host(), packages.repository()
        mounts = (f"{stage}:/stage:ro", f"{packages.FOLDER}/{repository}:/srv/packages:ro")
        volumes = [f"--volume={mount}" for mount in mounts]
        shell = ["sh", "-c", INSTALL + 'exec "$@"', "sh", *words]
        return str(podman.call("run", "--rm", "--privileged", "--network=none", *volumes, image, *shell))
