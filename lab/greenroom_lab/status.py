"""What runs, where it answers, and how to get in."""

from __future__ import annotations

import json
from typing import Any

from . import hosts, inventory, network, paths, podman
from .console import run, say
from .inventory import Host

STATE_FILE = "/var/lib/greenroom/edge/state.json"


def show() -> None:
    """Print the state of the lab: hosts, addresses, slots, and how to reach the pages."""
    found = podman.containers()
    if not found:
        say("The lab does not run. `make stage` brings up a whole staging environment, `make lab` the bare hosts.")
        return
    made = [host for host in inventory.everything() if host.container in found]
    for environment in network.networks():
        members = [host for host in made if host.environment == environment]
        if members:
            _show_environment(environment, members, found)


def _show_environment(environment: str, members: list[Host], found: dict[str, Any]) -> None:
    say(f"{environment}:")
    for host in members:
        groups = ", ".join(host.groups) or "Vault, registry, sign-in provider"
        say(f"  {host.name:<10} {host.address:<15} {found[host.container]['State']:<8} {groups}")
    edge = next((host for host in members if "edge" in host.groups), None)
    if edge is not None:
        _show_slots(edge, next((host for host in members if "app" in host.groups), None))
        domain = edge.domain
        access = paths.ACCESS / environment
        say(f"  hosts file   {edge.address} portal.{domain}")
        say(f"  page         https://portal.{domain}/ (CA: {access}/ca.crt)")
        say(f"  password     user visitor: lab/lab secret {environment}/environment/value/visitor")


def _show_slots(edge: Host, app: Host | None) -> None:
    """Ask the edge which slot is live (it knows from the first cut-over on), and an app host what each slot runs."""
    answer = run(hosts.ssh(edge, "sudo", "cat", STATE_FILE), check=False)
    if answer.returncode != 0:
        say("  live slot    none yet: `make stage` deploys the first release")
        return
    state = json.loads(answer.stdout)
    say(f"  live slot    {state.get('live')} (epoch {state.get('epoch')})")
    if app is None:
        return
    for slot in ("blue", "green"):
        bundle = run(hosts.ssh(app, "sudo", "cat", f"/etc/greenroom/slots/{slot}/bundle.json"), check=False)
        if bundle.returncode == 0:
            release = json.loads(bundle.stdout)["metadata"].get("release", "unknown")
            say(f"  {slot:<12} release {release}")
