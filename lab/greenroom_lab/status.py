"""`make status`: hosts, addresses, slots, and how to open the pages."""

from __future__ import annotations

import json
from typing import Any

from . import hosts, inventory, network, paths, podman
from .console import run, say
from .inventory import Host

STATE_FILE = "/var/lib/greenroom/edge/state.json"


def show() -> None:
    """Print hosts, addresses, slots, and how to open the pages."""
    found = podman.containers()
    if not found:
        say("The lab isn't running. `make stage` starts a staging environment, `make lab` only bare hosts.")
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
    edges = [host for host in members if "edge" in host.groups]
    if edges:
        address, domain = inventory.public_address(environment), edges[0].domain
        running = [edge for edge in edges if found[edge.container]["State"] == "running"]
        serving = next((edge for edge in running if _has(edge, address)), None)
        if len(edges) > 1:
            say(f"  serving      {serving.name if serving else 'no edge host yet'}")
        _show_slots([serving] if serving else running, next((host for host in members if "app" in host.groups), None))
        access = paths.ACCESS / environment
        say(f"  hosts file   {address} portal.{domain}")
        say(f"  page         https://portal.{domain}/ (CA: {access}/ca.crt)")
        say(f"  password     user visitor: lab/lab secret {environment}/environment/value/visitor")


def _has(edge: Host, address: str) -> bool:
    """Whether an edge host has the public address."""
    return f" {address}/" in run(hosts.ssh(edge, "ip", "-4", "-brief", "address"), check=False).stdout


def _show_slots(edges: list[Host], app: Host | None) -> None:
    """Print the live slot, as an edge host records it from the first cutover on, and the release of each slot."""
    answers = (run(hosts.ssh(edge, "sudo", "cat", STATE_FILE), check=False) for edge in edges)
    known = next((answer.stdout for answer in answers if answer.returncode == 0), None)
    if known is None:
        say("  live slot    none yet: `make stage` deploys the first release")
        return
    state = json.loads(known)
    say(f"  live slot    {state.get('live')} (epoch {state.get('epoch')})")
    if app is None:
        return
    for slot in ("blue", "green"):
        bundle = run(hosts.ssh(app, "sudo", "cat", f"/etc/greenroom/slots/{slot}/bundle.json"), check=False)
        if bundle.returncode == 0:
            release = json.loads(bundle.stdout)["metadata"].get("release", "unknown")
            say(f"  {slot:<12} release {release}")
