"""Hosts: containers with systemd and SSH that behave like rented machines."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import inventory, keys, network, packages, paths, podman
from .console import LabError, run, step
from .inventory import Host

DEADLINE = 60
"""Seconds until a host must be up."""

ATTEMPTS = 3
"""Times to try to start a host, one second apart: podman may still be busy with the work of a killed run."""

VOLUMES = {"containers": "/var/lib/containers", "journal": "/var/log/journal"}
"""Volumes for what can't be on a container's own file system: podman's storage and the journal (else a tmpfs)."""

PACKAGES = "sudo /usr/local/lib/greenroom-lab/packages {repository}"
BOOTED = "systemctl is-system-running --wait"
"""A new host must have no failed unit. On an existing host, a failed unit is not the lab's concern."""


@dataclasses.dataclass(frozen=True)
class Container:
    """The container of a host: an image, and folders of this machine to mount, by their path in the host."""

    image: str
    mounts: Mapping[str, Path] = dataclasses.field(default_factory=dict)


def start(plan: Mapping[Host, Container]) -> None:
    """Start the hosts that don't run, create missing ones, and wait until all accept SSH logins.

    Raises LabError.
    """
    found = podman.containers()
    repository = packages.repository()
    _check_keys([host for host in plan if host.container in found])
    idle = [host for host in plan if found.get(host.container, {}).get("State") != "running"]
    if idle:
        with step(f"starting {_list(idle)}"), ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda host: _start(host, plan[host]), idle))
    write_known_hosts()
    with step(f"waiting for {_list(plan)}"), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda host: wait(host, repository, new=host.container not in found), plan))


def _list(hosts: Iterable[Host]) -> str:
    environments: dict[str, list[str]] = {}
    for host in hosts:
        environments.setdefault(host.environment, []).append(host.name)
    return "; ".join(f"{environment}'s {', '.join(names)}" for environment, names in environments.items())


def _start(host: Host, container: Container) -> None:
    """Start one host, whatever state an earlier run left it in."""
    for _ in range(ATTEMPTS):
        state = podman.state(host.container)
        if state == "running":
            return
        with contextlib.suppress(LabError):
            if state == "paused":
                podman.call("unpause", host.container)
            elif state in ("exited", "stopped"):
                podman.call("start", host.container)
            else:
                _make(host, container)
            return
        time.sleep(1)
    raise LabError(f"{host.container} can't be started. Run `make down`, then this command again.")


def _make(host: Host, container: Container) -> None:
    # A killed run may have left a container that never started, or one that only podman's storage knows.
    podman.call("rm", "--force", "--ignore", host.container)
    seed = keys.seed(host)
    paths.write(seed / "containers.conf", podman.LIMITS.format(*podman.limits()))
    mounts: dict[str, str | Path] = {place: f"{host.container}-{name}" for name, place in VOLUMES.items()}
    mounts |= container.mounts
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
        f"--volume={seed}:/srv/lab:ro",
        f"--volume={packages.FOLDER}:/srv/packages:ro",
        *(f"--volume={source}:{place}" for place, source in mounts.items()),
        container.image,
    )


def _check_keys(existing: list[Host]) -> None:
    """Raise LabError if this checkout has no key of an existing host: the lab couldn't log in there."""
    for host in existing:
        if not (keys.FOLDER / "hosts" / host.container / "ssh_host_ed25519_key.pub").exists():
            raise LabError(f"The keys of {host.container} in .lab/ are gone. Run `make down`, then this command again.")


def wait(host: Host, repository: str, new: bool) -> None:
    """Wait until `host` accepts SSH logins and, if it is new, systemd has started all units. Raises LabError."""
    ready = f"{PACKAGES.format(repository=repository)} && {{ {BOOTED} {'' if new else '|| true'}; }}"
    deadline = time.monotonic() + DEADLINE
    while True:
        done = run(ssh(host, ready), check=False)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            failed = run(ssh(host, "systemctl --failed --plain --no-legend"), check=False).stdout.split()[:1]
            why = [f"{unit} failed" for unit in failed] or (done.stdout + done.stderr).strip().splitlines()[-1:]
            what = f"{host.container} was not ready within {DEADLINE} s: {' '.join(why)}"
            raise LabError(f"{what}. See `make ssh HOST={host.environment}/{host.name}`.")
        time.sleep(0.3)


def ssh(host: Host, *words: str) -> list[str]:
    """Return the SSH command line that logs in to `host` as the operator."""
    options = [
        "BatchMode=yes",
        "ConnectTimeout=10",
        "IdentitiesOnly=yes",
        "LogLevel=ERROR",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={keys.FOLDER}/known_hosts",
    ]
    given = [word for option in options for word in ("-o", option)]
    return ["ssh", "-F", "none", "-i", str(keys.operator(host.environment)), *given, f"operator@{host.address}", *words]


def write_known_hosts() -> None:
    """Write the known_hosts file of `ssh` for all hosts that exist."""
    made = [host for host in inventory.everything() if (keys.FOLDER / "hosts" / host.container).exists()]
    paths.write(keys.FOLDER / "known_hosts", keys.known_hosts(made))


def find(name: str, environment: str) -> Host:
    """Return the host with a name such as `app1`, `control1` or `production/app1`. Raises LabError."""
    wanted, _, host_name = name.rpartition("/")
    for host in inventory.everything():
        if host.name == host_name and host.environment in (wanted or environment, network.CONTROL):
            return host
    known = sorted({host.name for host in inventory.everything()})
    raise LabError(f"There is no host {name}. Use one of {', '.join(known)}, or <environment>/<host>.")


def find_in(environment: str, name: str) -> Host:
    """Return a host of an environment, which control is none of. Raises LabError."""
    found = inventory.hosts(environment)
    for host in found:
        if host.name == name:
            return host
    raise LabError(f"{environment} has no host {name}. It has {', '.join(host.name for host in found)}.")


def enter(host: Host, words: list[str]) -> None:
    """Replace this process with SSH to `host`: a shell, or the command in `words`."""
    if podman.containers().get(host.container, {}).get("State") != "running":
        raise LabError(f"{host.container} isn't running. Start it with `make lab`.")
    os.execvp("ssh", ssh(host, *words))


def remove(environment: str) -> None:
    """Remove the hosts of one environment, with their data and keys, and its network. Raises LabError."""
    for host in inventory.hosts(environment):
        remove_one(host)
        shutil.rmtree(keys.FOLDER / "hosts" / host.container, ignore_errors=True)
    network.remove_one(environment)
    shutil.rmtree(paths.ACCESS / environment, ignore_errors=True)
    write_known_hosts()


def remove_one(host: Host) -> None:
    """Remove one host at once, with its data. Its keys stay, so that a new one in its place is the same to SSH."""
    podman.call("rm", "--force", "--ignore", "--time=0", host.container)
    podman.call("volume", "rm", "--force", *(f"{host.container}-{name}" for name in VOLUMES))


def change(verb: str, host: Host) -> None:
    """Stop, start, restart, pause or unpause one host, as a power button would."""
    podman.call(verb, *(["--time=20"] if verb in ("stop", "restart") else []), host.container)
