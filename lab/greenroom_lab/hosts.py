"""Hosts: containers with systemd that one enters by ssh, as one enters a rented machine."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import inventory, keys, network, packages, paths, podman
from .console import LabError, run, say, step
from .inventory import Host

DEADLINE = 60
"""Seconds in which a host has to be up."""

VOLUMES = {"containers": "/var/lib/containers", "journal": "/var/log/journal"}
"""What can't lie on a container's own file system: podman's storage, and the journal (a tmpfs otherwise)."""

READY = "sudo /usr/local/lib/greenroom-lab/packages {repository} && systemctl is-system-running --wait"


def start(hosts: list[Host], image: str, extra: dict[str, Path] | None = None) -> list[Host]:
    """Start those of `hosts` that do not run, make them if need be, and wait until ssh works and systemd is content.

    `extra` are folders of this machine to mount, by their place in the hosts. Returns the hosts that were not running.
    Raises LabError.
    """
    found = podman.containers()
    podman.refuse_strangers(found)
    repository = packages.repository()
    known = {host.container: host for host in hosts}
    idle = [host for host in hosts if found.get(host.container, {}).get("State") != "running"]
    _check_keys([host for host in hosts if host.container in found])
    if idle:
        with step(f"starting {', '.join(host.container for host in idle)}"), ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda host: _start(host, image, host.container in found, extra or {}), idle))
    write_known_hosts()
    with step(f"waiting for {', '.join(host.name for host in known.values())}"), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda host: wait(host, repository), hosts))
    return idle


def _start(host: Host, image: str, exists: bool, extra: dict[str, Path]) -> None:
    if exists:
        podman.call("start", host.container)
        return
    seed = keys.seed(host)
    paths.write(seed / "containers.conf", podman.LIMITS.format(*podman.limits()))
    mounts = {"/srv/lab": f"{seed}:/srv/lab:ro", "/srv/packages": f"{packages.FOLDER}:/srv/packages:ro"}
    mounts |= {place: f"{host.container}-{name}:{place}" for name, place in VOLUMES.items()}
    mounts |= {place: f"{folder}:{place}" for place, folder in extra.items()}
    podman.call(
        "run",
        "--detach",
        f"--name={host.container}",
        f"--hostname={host.name}",
        f"--label={podman.LABEL}={paths.ROOT}",
        f"--network={network.name(host.environment)}",
        f"--ip={host.address}",
        "--no-hosts",
        "--privileged",
        "--systemd=always",
        "--log-driver=none",
        "--restart=no",
        *(f"--volume={mount}" for mount in mounts.values()),
        image,
    )


def _check_keys(existing: list[Host]) -> None:
    """Hosts that run with keys this checkout no longer has can't be entered."""
    for host in existing:
        if not (keys.FOLDER / "hosts" / host.container / "ssh_host_ed25519_key.pub").exists():
            raise LabError(f"{host.container} exists, but its keys in .lab/ are gone. Run `make down`, then this again.")


def wait(host: Host, repository: str) -> None:
    """Wait until the operator can enter `host` and its systemd has started everything. Raises LabError."""
    deadline = time.monotonic() + DEADLINE
    while True:
        done = run(ssh(host, READY.format(repository=repository), timeout=10), check=False)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            failed = run(ssh(host, "systemctl --failed --plain --no-legend"), check=False).stdout.strip()
            why = failed or (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise LabError(f"{host.container} was not ready within {DEADLINE} s: {why}. See `make ssh HOST={host.name}`.")
        time.sleep(0.3)


def ssh(host: Host, *words: str, timeout: int = 10, options: tuple[str, ...] = ()) -> list[str]:
    """The command line with which the operator enters `host`."""
    return [
        "ssh",
        "-F",
        "none",
        "-i",
        str(keys.operator()),
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        f"UserKnownHostsFile={keys.FOLDER}/known_hosts",
        "-o",
        f"ConnectTimeout={timeout}",
        "-o",
        "LogLevel=ERROR",
        *options,
        f"operator@{host.address}",
        *words,
    ]


def everything() -> list[Host]:
    """All hosts the lab could have: control's and those of every lab inventory."""
    found = [inventory.control()]
    for environment in network.networks():
        if environment != inventory.CONTROL:
            found += inventory.hosts(environment)
    return found


def write_known_hosts() -> None:
    """Write the known_hosts file of `ssh`, for all hosts that were made."""
    made = [host for host in everything() if (keys.FOLDER / "hosts" / host.container).exists()]
    paths.write(keys.FOLDER / "known_hosts", keys.known_hosts(made))


def find(name: str, environment: str) -> Host:
    """The host that a person means by `app1`, `control1` or `production/app1`. Raises LabError."""
    wanted, _, host_name = name.rpartition("/")
    for host in everything():
        if host.name == host_name and host.environment in (wanted or environment, inventory.CONTROL):
            return host
    known = sorted({host.name for host in everything()})
    raise LabError(f"There is no host {name}: choose one of {', '.join(known)}, or <environment>/<host>.")


def enter(host: Host, words: list[str]) -> None:
    """Become an ssh to `host`: a shell, or the command in `words`."""
    if podman.containers().get(host.container, {}).get("State") != "running":
        raise LabError(f"{host.container} does not run. Start it with `make lab`.")
    os.execvp("ssh", ssh(host, *words))


def remove() -> None:
    """Remove all hosts with their volumes, from whatever checkout they were started."""
    found = podman.containers()
    for name in sorted(found):
        say(f"lab: removing {name}")
    podman.remove_all("container", list(found))
    podman.remove_all("volume", podman.names("volume", "greenroom-"))
