"""The machine that runs the lab: required programs and kernel settings."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from . import paths
from .console import LabError, run, step

PROGRAMS = {
    "podman": "podman",
    "crun": "crun",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "iptables": "iptables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "openssl": "openssl",
}
"""Programs, and the Debian package of each."""

FILES = {
    "usr/lib/podman/netavark": "netavark",
    "usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    # Tests and benches of seeding run Kratos with their own PostgreSQL.
    "usr/lib/postgresql/*/bin/initdb": "postgresql",
}
"""Patterns of other required files, and the Debian package of each."""

NO_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
"""Stops Debian's package from starting a PostgreSQL server."""

ADMIN_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 1024

GO_MINIMUM = (1, 23)
"""Kratos needs this version; Debian 12 has an older one."""


def missing_packages() -> list[str]:
    """List the Debian packages that the lab needs and that aren't installed."""
    search = os.environ.get("PATH", "") + os.pathsep + ADMIN_PATH
    wanted = {package for program, package in PROGRAMS.items() if shutil.which(program, path=search) is None}
    wanted |= {package for file, package in FILES.items() if not any(Path("/").glob(file))}
    if Path("/usr/bin/python3").resolve().name >= "python3.12" and not _ensurepip():
        wanted.add("python3-venv")
    return sorted(wanted)


def _ensurepip() -> bool:
    return run(["/usr/bin/python3", "-c", "import ensurepip"], check=False).returncode == 0


def ensure_packages() -> None:
    """Install missing packages with apt. Raises LabError if there is no apt, or if it fails."""
    os.environ["PATH"] = os.environ.get("PATH", "") + os.pathsep + ADMIN_PATH
    packages = missing_packages()
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise LabError(f"Install these with your package manager, then run this command again: {' '.join(packages)}.")
    with step(f"installing Debian packages: {' '.join(packages)}"):
        apt = ["apt-get", "-q", "-y", "-o", "Dpkg::Lock::Timeout=120"]
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run([*apt, "update"], log="apt-update", env=quiet, hint="Check that the package mirror is reachable.")
        if "postgresql" in packages and not NO_CLUSTER.exists():
            NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
            paths.write(NO_CLUSTER, "create_main_cluster = false\n")
            apt += ["-o", "Dpkg::Options::=--force-confold"]
        run([*apt, "install", "--no-install-recommends", *packages], log="apt-install", env=quiet)


def raise_limits() -> None:
    """Raise the kernel's limit of inotify instances: each host's systemd takes several."""
    if int(INOTIFY.read_text()) < INOTIFY_INSTANCES:
        paths.write(paths.RUN / INOTIFY.name, INOTIFY.read_text())
        INOTIFY.write_text(str(INOTIFY_INSTANCES))


def restore_limits() -> None:
    """Restore the kernel setting that `raise_limits` found."""
    found = paths.RUN / INOTIFY.name
    if found.exists():
        INOTIFY.write_text(found.read_text())


def go() -> Path | None:
    """Return the machine's Go, or None if there is none or it is too old."""
    found = shutil.which("go")
    version = re.search(r"go(\d+)\.(\d+)", run([found, "version"], check=False).stdout) if found else None
    if found is None or version is None or (int(version[1]), int(version[2])) < GO_MINIMUM:
        return None
    return Path(found)
