"""The lab's commands. Each is safe to repeat, and to interrupt at any point."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence

from . import cache, machine, paths, preflight, venv
from .console import LabError, say


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit code; what stops the lab is one line on standard error."""
    parser = argparse.ArgumentParser(prog="lab/lab", description="Hosts to practise on, with a Vault and an image registry.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("setup", help="install the Debian packages and Python packages that are missing")
    up = commands.add_parser("up", help="start control and the hosts of environments")
    up.add_argument("environments", nargs="+", metavar="environment")
    commands.add_parser("down", help="remove hosts, networks and keys; caches stay")
    commands.add_parser("clean", help="the same, and the caches and the virtual environment, too")
    commands.add_parser("status", help="show hosts, slots and addresses")
    ssh = commands.add_parser("ssh", help="open a shell on a host (app1, control1, production/app1)")
    ssh.add_argument("host")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="command")
    secret = commands.add_parser("secret", help="print a secret of an environment, e.g. staging/environment/value/visitor")
    secret.add_argument("path")
    chosen = parser.parse_args(arguments)
    actions: dict[str, Callable[[argparse.Namespace], None]] = {
        "setup": _setup,
        "up": _up,
        "down": _down,
        "clean": _clean,
        "status": _status,
        "ssh": _ssh,
        "secret": _secret,
    }
    try:
        actions[chosen.command](chosen)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; run the same command again, it goes on from there.", file=sys.stderr)
        return 130
    return 0


def _setup(_: argparse.Namespace) -> None:
    preflight.machine()
    with cache.only_one():
        if machine.missing_packages() or not venv.ready():
            preflight.downloads()
        machine.ensure_packages()
        preflight.addresses()
        venv.ensure()


def _up(chosen: argparse.Namespace) -> None:
    _setup(chosen)
    venv.enter(sys.argv[1:])
    from . import control, hosts, images, inventory, network, podman

    with cache.only_one():
        podman.setup()
        podman.refuse_strangers(podman.containers())
        for environment in chosen.environments:
            inventory.hosts(environment)
        control.start()
        for environment in chosen.environments:
            network.ensure(environment)
            hosts.start(inventory.hosts(environment), images.host())
        network.keep_addresses()
    say(f"lab: {' and '.join(chosen.environments)} and control are up")


def _down(_: argparse.Namespace) -> None:
    from . import hosts, namespace, network, podman

    preflight.machine()
    with cache.only_one():
        if podman.CONFIGURATION.exists():
            podman.setup()
            hosts.remove()
            network.remove()
        namespace.remove()
        access = [paths.ACCESS / environment for environment in network.networks()]
        for folder in (*access, paths.STATE, paths.RUN):
            shutil.rmtree(folder, ignore_errors=True)
    say("lab: nothing runs, and no network or key is left")


def _clean(chosen: argparse.Namespace) -> None:
    _down(chosen)
    for folder in (paths.CACHE, paths.VENV):
        say(f"lab: removing {folder}")
        shutil.rmtree(folder, ignore_errors=True)


def _status(_: argparse.Namespace) -> None:
    if not venv.ready():
        say("The lab was never started here. `make stage` brings up a whole staging environment.")
        return
    venv.enter(sys.argv[1:])
    from . import status

    status.show()


def _ssh(chosen: argparse.Namespace) -> None:
    venv.ensure()
    venv.enter(sys.argv[1:])
    from . import hosts

    hosts.enter(hosts.find(chosen.host, "staging"), chosen.words)


def _secret(chosen: argparse.Namespace) -> None:
    venv.ensure()
    venv.enter(sys.argv[1:])
    from . import control

    control.show_secret(chosen.path)
