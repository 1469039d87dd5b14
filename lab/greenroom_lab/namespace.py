"""A private mount namespace with cgroup v2, for machines whose /sys/fs/cgroup is not.

systemd in the hosts needs cgroup v2. The namespace is held by a bind mount and not by a process, so nothing has to
stay alive; on machines with cgroup v2 there is none.
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
"""Run once inside. Podman keeps network namespaces in /run/netns; the mount that `prefix` asks for comes last."""


def needed() -> bool:
    """Whether the machine's own cgroup file system is not cgroup v2."""
    return _filesystem([], "/sys/fs/cgroup") != "cgroup2fs"


def prefix() -> list[str]:
    """Return the words before each command that has to run inside; none where the machine has cgroup v2."""
    return ["nsenter", f"--mount={FILE}", "--"] if needed() else []


def ensure() -> None:
    """Make the namespace unless it is there and complete."""
    if not needed() or _filesystem(prefix(), "/sys/fs/cgroup") == "cgroup2fs":
        return
    remove()
    HOLDER.mkdir(parents=True, exist_ok=True)
    run(["mount", "--bind", HOLDER, HOLDER])
    run(["mount", "--make-private", HOLDER])
    FILE.touch()
    run(["unshare", f"--mount={FILE}", "sh", "-c", SETUP])


def remove() -> None:
    """Take the namespace away; also one that was left half-made."""
    for mount in reversed(mounts_below(HOLDER)):
        run(["umount", "--lazy", mount])
    FILE.unlink(missing_ok=True)


def mounts_below(folder: Path) -> list[Path]:
    """List what is mounted on `folder` or below, in the order in which it was mounted."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split()[4]) for line in lines]
    return [point for point in points if point == folder or folder in point.parents]


def _filesystem(before: list[str], path: str) -> str:
    return run([*before, "stat", "--file-system", "--format=%T", path], check=False).stdout.strip()
