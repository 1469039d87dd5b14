"""The lab's commands that run with any Python from 3.9 on. The others continue inside the virtual environment.

You can repeat each command, and interrupt it at any point.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence

from . import cache, machine, namespace, network, paths, podman, preflight, venv
from .console import guarded, say

POWER = ("stop", "start", "restart", "pause", "unpause")
"""Commands for one host that act like its power button."""

ANYWHERE = ("status", "ssh", "secret", *POWER)
"""Commands that also work from another checkout than the one that started the lab."""


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. An error is one line on standard error."""
    chosen = parser().parse_args(arguments)
    return guarded(lambda: _run(chosen, arguments))


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    made = argparse.ArgumentParser(prog="lab/lab", description="Practice hosts with a Vault and a registry.")
    commands = made.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("setup", help="install missing Debian and Python packages")
    up = commands.add_parser("up", help="start control and the hosts of environments")
    up.add_argument("environments", nargs="+", metavar="environment")
    remove = commands.add_parser("remove", help="remove one environment's hosts, or one host, with all that is on them")
    remove.add_argument("environment", metavar="environment[/host]")
    commands.add_parser("down", help="remove hosts, networks and keys; caches stay")
    commands.add_parser("clean", help="the same, and remove the caches and the virtual environment")
    commands.add_parser("status", help="show hosts, slots and addresses")
    ssh = commands.add_parser("ssh", help="open a shell on a host (app1, control1, production/app1)")
    ssh.add_argument("host")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="command")
    for verb in POWER:
        commands.add_parser(verb, help=f"{verb} one host").add_argument("host")
    secret = commands.add_parser("secret", help="print a secret, such as staging/environment/value/visitor")
    secret.add_argument("path")
    return made


def _run(chosen: argparse.Namespace, arguments: Sequence[str]) -> None:
    if chosen.command in ANYWHERE and os.geteuid() == 0:
        _go_there(arguments)
    if chosen.command == "down":
        down()
    elif chosen.command == "clean":
        clean()
    elif chosen.command == "status" and not venv.ready():
        say("The lab was never started from this checkout. `make stage` starts a staging environment.")
    else:
        setup(hosts=chosen.command == "up")
        if chosen.command != "setup":
            venv.go_on(arguments)


def _go_there(arguments: Sequence[str]) -> None:
    """Run the command in the checkout that started the lab, if that is another one: it has the keys."""
    other = podman.stranger(podman.containers())
    if other is None or not podman.started_by(other):
        return
    print(f"lab: this is the lab of {other}", file=sys.stderr, flush=True)
    program = other / "lab" / "lab"
    os.execv(program, [str(program), *arguments])


def setup(hosts: bool) -> None:
    """Check the machine and install missing packages. With `hosts`, check the lab's addresses, too. Raises LabError."""
    preflight.machine()
    if machine.missing_packages() or not venv.ready():
        with cache.only_one():
            preflight.downloads()
            machine.ensure_packages()
            if hosts:
                preflight.addresses()
            venv.ensure()
    venv.compile_plugins()


def down() -> None:
    """Remove hosts, networks and keys, even those of a lab that another checkout started. Caches stay."""
    preflight.root()
    with cache.only_one():
        # Hosts outlive a reboot of the machine, but /run doesn't. So the storage shows whether there can be any.
        if podman.STORAGE.exists() and shutil.which("podman"):
            podman.setup()
            podman.remove_all()
            network.remove()
        namespace.remove()
        machine.restore_limits()
        access = [paths.ACCESS / environment for environment in network.networks()]
        for folder in (*access, paths.STATE, paths.RUN):
            shutil.rmtree(folder, ignore_errors=True)
    say("lab: removed all hosts, networks and keys")


def clean() -> None:
    """Remove everything that the lab created, except the Debian packages on this machine."""
    down()
    for folder in (paths.CACHE, paths.VENV):
        say(f"lab: removing {folder}")
        shutil.rmtree(folder, ignore_errors=True)
