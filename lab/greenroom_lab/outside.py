"""The lab's commands, as far as any Python from 3.9 on can do them; the others go on inside the virtual environment.

Each command is safe to repeat, and to interrupt at any point.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence

from . import cache, machine, namespace, network, paths, podman, preflight, venv
from .console import guarded, say

POWER = ("stop", "start", "restart", "pause", "unpause")
"""What can be done to one host, as with a power button."""


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit code; what stops the lab is one line on standard error."""
    chosen = parser().parse_args(arguments)
    return guarded(lambda: _run(chosen, arguments))


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    made = argparse.ArgumentParser(prog="lab/lab", description="Hosts to practise on, with a Vault and a registry.")
    commands = made.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("setup", help="install the Debian packages and Python packages that are missing")
    up = commands.add_parser("up", help="start control and the hosts of environments")
    up.add_argument("environments", nargs="+", metavar="environment")
    commands.add_parser("down", help="remove hosts, networks and keys; caches stay")
    commands.add_parser("clean", help="the same, and the caches and the virtual environment, too")
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
    if chosen.command == "down":
        down()
    elif chosen.command == "clean":
        clean()
    elif chosen.command == "status" and not venv.ready():
        say("The lab was never started here. `make stage` brings up a whole staging environment.")
    else:
        setup(hosts=chosen.command == "up")
        if chosen.command != "setup":
            venv.go_on(arguments)


def setup(hosts: bool) -> None:
    """Check the machine, and install what is missing. `hosts`: the lab's addresses are needed, too. Raises LabError."""
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
    """Remove hosts, networks and keys, from whatever checkout they were started. Caches stay."""
    preflight.root()
    with cache.only_one():
        # Hosts outlive a reboot of the machine, which takes /run with it: the storage tells whether there may be any.
        if podman.STORAGE.exists() and shutil.which("podman"):
            podman.setup()
            podman.remove_all()
            network.remove()
        namespace.remove()
        machine.restore_limits()
        access = [paths.ACCESS / environment for environment in network.networks()]
        for folder in (*access, paths.STATE, paths.RUN):
            shutil.rmtree(folder, ignore_errors=True)
    say("lab: nothing runs, and no network or key is left")


def clean() -> None:
    """Remove everything that the lab ever made, except Debian packages."""
    down()
    for folder in (paths.CACHE, paths.VENV):
        say(f"lab: removing {folder}")
        shutil.rmtree(folder, ignore_errors=True)
