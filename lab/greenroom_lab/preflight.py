"""What has to be true of the machine before anything is built. Each finding is one line: what, and what to do."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from . import network, paths
from .console import LabError

DISK = 10
"""Free space in GB that a first start needs."""

DISK_WARM = 2
"""Free space in GB that is needed once everything is built."""

MEMORY = 4
"""Memory in GB: an environment (six hosts that serve), control, and builds."""


def root() -> None:
    """Check that this is root. Raises LabError."""
    if os.geteuid() != 0:
        raise LabError("The lab needs root, for containers and networks. Use a virtual machine, and run this as root.")


def machine() -> None:
    """Check what needs no program but Python. Raises LabError."""
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
            raise LabError(f"{what}. Free some, or set XDG_CACHE_HOME to another disk.")


def addresses() -> None:
    """Check that the lab's addresses are free on this machine. Raises LabError."""
    found = network.overlap()
    if found:
        raise LabError(found)


def downloads() -> None:
    """Check that the Debian mirrors answer, for when something has to be built. Raises LabError."""
    for mirror in network.mirrors():
        try:
            socket.create_connection((mirror, 80), timeout=10).close()
        except OSError as error:
            reason = f"The Debian mirror {mirror} does not answer ({error.strerror or error})"
            raise LabError(f"{reason}. Check the network and /etc/apt/sources.list, then run this again.") from None
        return
