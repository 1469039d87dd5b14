"""Checks of the machine before the lab builds anything. Each error is one line: what is wrong, and what to do."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from . import network, paths
from .console import LabError

DISK = 10
"""Free space in GB for a first start."""

DISK_WARM = 2
"""Free space in GB for later starts, when everything is built."""

MEMORY = 4
"""Memory in GB for an environment (six hosts), control, and builds."""


def root() -> None:
    """Check that this process runs as root. Raises LabError."""
    if os.geteuid() != 0:
        raise LabError("The lab needs root for containers and networks. Run this as root, in a virtual machine.")


def machine() -> None:
    """Run the checks that need only Python: root, Linux, memory, disk space. Raises LabError."""
    root()
    if not Path("/proc/self/mountinfo").exists():
        raise LabError("The lab needs Linux. Use a virtual machine with Debian 13.")
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    memory = int(total.split()[1]) / 1024**2
    if memory < MEMORY * 0.9:
        raise LabError(f"This machine has {memory:.1f} GB of memory; the lab needs {MEMORY}. Use a larger machine.")
    paths.CACHE.mkdir(parents=True, exist_ok=True)
    needed = DISK_WARM if (paths.CACHE / "podman").exists() else DISK
    for folder in (paths.CACHE, paths.ROOT):
        free = shutil.disk_usage(folder).free / 1000**3
        if free < needed:
            what = f"{folder} has {free:.1f} GB free; the lab needs {needed}"
            raise LabError(f"{what}. Free some space, or set XDG_CACHE_HOME to a folder on another disk.")


def addresses() -> None:
    """Check that the lab's addresses are free on this machine. Raises LabError."""
    found = network.overlap()
    if found:
        raise LabError(found)


def downloads() -> None:
    """Check that the first Debian mirror accepts connections. Raises LabError."""
    for mirror in network.mirrors():
        try:
            socket.create_connection((mirror, 80), timeout=10).close()
        except OSError as error:
            reason = f"Can't connect to the Debian mirror {mirror} ({error.strerror or error})"
            advice = "Check the network and /etc/apt/sources.list, then run this command again."
            raise LabError(f"{reason}. {advice}") from None
        return
