"""Podman with its own storage, networks and run state, separate from the machine's other containers."""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import namespace, paths
from .console import LabError, run, say

STORAGE = paths.CACHE / "podman"
NETWORKS = STORAGE / "networks"
CONFIGURATION = paths.RUN / "containers.conf"
LABEL = "greenroom.checkout"
"""The label of every host; its value is the checkout that started it."""

NOFILE, NPROC = 1048576, 32768
"""Limits of hosts, unless the machine's own hard limits are lower. With a higher process limit, builds fail."""

LIMITS = """[containers]
default_ulimits = ["nofile={0}:{0}", "nproc={1}:{1}"]
pids_limit = 0
"""
"""Part of containers.conf, for the hosts and for the containers in them: limits that work when nested."""


def setup() -> None:
    """Write podman's configuration and create its mount namespace. Raises LabError."""
    paths.RUN.mkdir(parents=True, exist_ok=True)
    place = paths.RUN / "cache"
    if not place.exists():
        paths.write(place, str(paths.CACHE))
    elif place.read_text() != str(paths.CACHE):
        other = Path(place.read_text()).parent
        raise LabError(f"The lab on this machine has its cache elsewhere. Set XDG_CACHE_HOME={other}, or reboot.")
    STORAGE.mkdir(parents=True, exist_ok=True)
    wanted = f"""{LIMITS.format(*limits())}
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "crun"

[network]
network_backend = "netavark"
"""
    if not CONFIGURATION.exists() or CONFIGURATION.read_text() != wanted:
        paths.write(CONFIGURATION, wanted)
    namespace.ensure()


def limits() -> tuple[int, int]:
    """Return the limits of open files and processes for a container, at most the machine's own hard limits."""
    found = []
    for kind, bound in ((resource.RLIMIT_NOFILE, NOFILE), (resource.RLIMIT_NPROC, NPROC)):
        hard = resource.getrlimit(kind)[1]
        found.append(bound if hard == resource.RLIM_INFINITY else min(hard, bound))
    return found[0], found[1]


def command(*words: str | Path) -> list[str]:
    """Return the command line of a podman call. File names in it must be absolute."""
    return [
        *namespace.prefix(),
        "env",
        f"CONTAINERS_CONF={CONFIGURATION}",
        "podman",
        f"--root={STORAGE}/storage",
        f"--runroot={paths.RUN}/storage",
        f"--tmpdir={paths.RUN}/libpod",
        f"--network-config-dir={NETWORKS}",
        "--storage-driver=overlay",
        *map(str, words),
    ]


def call(*words: str | Path, log: str | None = None, hint: str = "", stdin: str | None = None) -> str:
    """Run podman and return its output. Raises LabError if it fails.

    Only long-running calls (with a `log`) end when this process is killed: a killed podman leaves incomplete
    containers and addresses in use.
    """
    return run(command(*words), log=log, hint=hint, stdin=stdin, finish=log is None).stdout


def succeeds(*words: str | Path) -> bool:
    """Run podman and return whether it exited with 0; for queries such as `image exists`."""
    return run(command(*words), check=False).returncode == 0


def containers() -> dict[str, dict[str, Any]]:
    """Return all hosts of the lab that exist, running or not, by container name."""
    if not CONFIGURATION.exists() or not (STORAGE / "storage").exists():
        return {}
    listed = json.loads(call("ps", "--all", "--format=json", f"--filter=label={LABEL}") or "[]") or []
    return {entry["Names"][0]: entry for entry in listed}


def state(container: str) -> str:
    """Return the state of a container, such as running, exited or created; empty if it doesn't exist."""
    return run(command("inspect", "--format={{.State.Status}}", container), check=False).stdout.strip()


def owners(found: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the checkouts that started the given hosts."""
    return {entry["Labels"][LABEL] for entry in found.values()}


def stranger(found: Mapping[str, Mapping[str, Any]]) -> Path | None:
    """Return another checkout that started some of the given hosts."""
    return next((Path(owner) for owner in sorted(owners(found) - {str(paths.ROOT)})), None)


def refuse_strangers(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise LabError if another checkout's lab exists: all labs use the same addresses and names."""
    other = stranger(found)
    if other is None:
        return
    what = f"The lab of {other} runs on this machine, and a machine has only one."
    if not started_by(other):
        raise LabError(
            f"{what} That checkout is gone. Run `make down`, which removes its hosts, then this command again."
        )
    raise LabError(
        f"{what} Run this command there (`cd {other}`). `make status`, `make ssh` and `lab/lab secret` also work here. "
        f"Playbooks of this checkout reach its hosts after `export GREENROOM_ACCESS={other}/.access/staging`. "
        "To start the lab here, run `make down`, which removes the hosts of the other one, then this command again."
    )


def started_by(checkout: Path) -> bool:
    """Whether a checkout still has the commands and the keys of the lab that it started."""
    return (checkout / "lab" / "lab").exists() and (checkout / ".lab").exists()


def remove_all() -> None:
    """Remove all hosts, volumes and networks of the lab."""
    found = sorted(containers())
    if found:
        say(f"lab: removing {', '.join(found)}")
        call("container", "rm", "--force", "--time=0", *found)
    for kind in ("volume", "network"):
        listed = call(kind, "ls", "--format={{.Name}}").split()
        ours = [name for name in listed if name.startswith("greenroom-")]
        if ours:
            call(kind, "rm", "--force", *ours)
