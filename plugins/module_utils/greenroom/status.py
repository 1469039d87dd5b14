# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an operator wants to see of an environment's slots: who serves, what is under way, what each one runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .bluegreen import SLOTS


def summary(
    edges: Mapping[str, Any],
    bundles: Mapping[str, Any],
    running: Mapping[str, Sequence[str]],
    stops: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what `playbooks/status.yml` prints.

    `edges` is what `edges.together` returns of the edge hosts' status, `bundles` {slot: description}, `running`
    {host: [name and state of a container]}, `stops` {host: plan of a slot's stop and what came of it}, see `stops`.
    """
    return {
        "live slot": edges["live"] or "none yet",
        "epoch": edges["epoch"],
        "since": edges["changed_at"] or "never",
        "under way": _under_way(edges),
        "edge hosts": {host: _edge(answer) for host, answer in edges["answers"].items()}
        | dict.fromkeys(edges["down"], "does not answer"),
        "slots": {slot: _slot(slot, edges, bundles.get(slot), running, stops) for slot in SLOTS},
    }


def _under_way(edges: Mapping[str, Any]) -> str:
    if not edges["operation"]:
        return "nothing"
    share = f", {edges['candidate']} gets {edges['weight']} %" if edges["weight"] else ""
    late = "; it is overdue" if edges.get("overdue") else ""
    return f"{edges['operation']}: {edges['phase']}{share}, until {edges['deadline']}{late}"


def _edge(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Say what an edge host's disk and workers say; in one word where they all say the same."""
    state = answer["disk"]["state"]
    said = {
        "disk": f"{state['live']} at epoch {state['epoch']}" if state else answer["disk"]["damage"] or "nothing",
        "load balancer": "in force" if answer["in_force"] else "not in force" if answer["running"] else "does not run",
    }
    odd = {
        f"worker {worker['name']}{' (old)' if worker['old'] else ''}": worker["problem"] or worker["value"] or "nothing"
        for worker in answer["workers"]
        if not worker["agrees"]
    }
    return said | odd


def _slot(
    slot: str,
    edges: Mapping[str, Any],
    bundle: Any,
    running: Mapping[str, Sequence[str]],
    stops: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any] | str:
    if not bundle:
        return "never deployed"
    own = {host: [line for line in lines if f"-{slot} " in f"{line} "] for host, lines in running.items()}
    stop = {host: _stop(found) for host, found in stops.items() if found.get("slot") == slot}
    return {
        "serves": "everybody" if slot == edges["live"] and not edges["weight"] else _share(slot, edges),
        "release": bundle.get("release", "unknown"),
        "open requests": edges["connections"][slot],
        "runs": own,
    } | ({"stop": stop} if stop else {})


def _stop(found: Mapping[str, Any]) -> str:
    """Say what is planned on a host, or what came of it."""
    return f"{found['says']} (planned for {found['at']})" if found.get("says") else f"planned for {found['at']}"


def _share(slot: str, edges: Mapping[str, Any]) -> str:
    if slot == edges["candidate"] and edges["weight"]:
        return f"{edges['weight']} %"
    return f"{100 - edges['weight']} %" if slot == edges["live"] else "nobody"


def containers(hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> dict[str, list[str]]:
    """Return {host: ["name state"]} from what `podman_container_info` found on each host."""
    found = {host: (hostvars[host].get("status_containers") or {}).get("containers") or [] for host in hosts}
    return {
        host: sorted(f"{each['Name']} {each['State']['Status']}" for each in containers)
        for host, containers in found.items()
    }


def stops(hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return {host: {slot, at, says}} of hosts that have the plan of a slot's stop; `says` is what came of it, or "".

    It is read from the local facts that roles/stop and greenroom-stop leave there.
    """
    found = {}
    for host in hosts:
        facts = ((hostvars[host].get("status_stops") or {}).get("ansible_facts") or {}).get("ansible_local") or {}
        plan, result = facts.get("plan"), facts.get("result") or {}
        if isinstance(plan, Mapping):
            planned = {"slot": plan["slot"], "at": plan["at"]}
            # What came of an older plan says nothing of this one.
            its = isinstance(result, Mapping) and all(result.get(key) == value for key, value in planned.items())
            found[host] = planned | {"says": result["says"] if its else ""}
    return found
