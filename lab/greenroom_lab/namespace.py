"""A private mount namespace with cgroup v2, for machines whose /sys/fs/cgroup isn't.

systemd in the hosts needs cgroup v2. A bind mount and not a process keeps the namespace alive. Machines with cgroup v2
need no namespace.
"""

from __future__ import annotations

from pathlib import Path

from . import paths
from .console import run

HOLDER = paths.RUN / "mounts"
FILE = HOLDER / "namespace"

SETUP = """
mkdir -p /run/netns && mount -t tmpfs -o mode=755 tmpfs /run/netns &&
mount -t cgroup2 cgroup2 /sys/fs/cgroup
"""
"""Runs once inside. Podman keeps network namespaces in /run/netns. `ensure` looks for the last of these mounts."""


def needed() -> bool:
    """Whether the machine's own cgroup file system is not cgroup v2."""
    return _filesystem([], "/sys/fs/cgroup") != "cgroup2fs"


def prefix() -> list[str]:
    """Return the words before each command that must run inside; none if the machine has cgroup v2."""
    return ["nsenter", f"--mount={FILE}", "--"] if needed() else []


def ensure() -> None:
    """Create the namespace unless it exists and is complete."""
    if not needed() or _filesystem(prefix(), "/sys/fs/cgroup") == "cgroup2fs":
        return
    remove()
    HOLDER.mkdir(parents=True, exist_ok=True)
    run(["mount", "--bind", HOLDER, HOLDER])
    run(["mount", "--make-private", HOLDER])
    FILE.touch()
    run(["unshare", f"--mount={FILE}", "sh", "-c", SETUP])


def remove() -> None:
    """Remove the namespace, even an incomplete one."""
    for mount in reversed(mounts_below(HOLDER)):
        run(["umount", "--lazy", mount])
    FILE.unlink(missing_ok=True)


def mounts_below(folder: Path) -> list[Path]:
    """List the mounts on `folder` or below, in the order in which they were mounted."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split()[4]) for line in lines]
    return [point for point in points if point == folder or folder in point.parents]


def _filesystem(before: list[str], path: str) -> str:
    return run([*before, "stat", "--file-system", "--format=%T", path], check=False).stdout.strip()
