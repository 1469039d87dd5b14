"""The lab's commands that need the virtual environment."""

from __future__ import annotations

import argparse
import sys

from . import cache, control, hosts, images, inventory, machine, network, outside, podman, preflight, status
from .console import guarded, say


def up(environments: list[str]) -> None:
    """Start control and the hosts of `environments`, with everything that they need."""
    wanted = {environment: inventory.hosts(environment) for environment in environments}
    with cache.only_one():
        podman.setup()
        found = podman.containers()
        podman.refuse_strangers(found)
        if not found:
            preflight.addresses()
        machine.raise_limits()
        plan = control.plan()
        for members in wanted.values():
            plan |= {host: hosts.Container(images.host()) for host in members}
        images.services()
        for environment in (network.CONTROL, *wanted):
            network.ensure(environment)
        network.keep_addresses()
        hosts.start(plan)
        control.configure()
    say(f"lab: {' and '.join(wanted)} and control are up")


def remove(what: str) -> None:
    """Remove the hosts of one environment, or one host of it (`staging/app1`); control and everything else stay."""
    environment, _, one = what.partition("/")
    with cache.only_one():
        podman.setup()
        podman.refuse_strangers(podman.containers())
        if one:
            hosts.remove_one(hosts.find_in(environment, one))
        else:
            hosts.remove(environment)
    say(f"lab: removed {what}")


def _run(chosen: argparse.Namespace) -> None:
    if chosen.command == "up":
        up(chosen.environments)
    elif chosen.command == "status":
        status.show()
    elif chosen.command == "remove":
        remove(chosen.environment)
    elif chosen.command == "secret":
        control.show_secret(chosen.path)
    else:
        host = hosts.find(chosen.host, "staging")
        if chosen.command == "ssh":
            hosts.enter(host, chosen.words)
        else:
            hosts.change(chosen.command, host)


if __name__ == "__main__":
    sys.exit(guarded(lambda: _run(outside.parser().parse_args())))
