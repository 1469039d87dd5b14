# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an operator wants to see of an environment's slots: who serves, what is under way, what each one runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...switch.bluegreen import SLOTS
from . import bundle

SILENT = "does not answer"
Running = Mapping[str, Sequence[str] | str]
"""{host: [name and state of a container]}; a text says why nothing is known of a host."""


def summary(
    edges: Mapping[str, Any],
    bundles: Mapping[str, Any],
    running: Running,
    stops: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Return what `playbooks/status.yml` prints.

    `edges` is what `edges.together` returns of the edge hosts' status, `bundles` {slot: description}, `running` see
    `containers`, `stops` {host: plan of a slot's stop and what came of it}, see `stops`, `groups` hosts by group.
    """
    known = {host: lines for host, lines in running.items() if not isinstance(lines, str)}
    astray = {host: _astray(host, lines, edges["live"], bundles, groups) for host, lines in known.items()}
    return {
        "live slot": edges["live"] or "none yet",
        "epoch": edges["epoch"],
        "since": edges["changed_at"] or "never",
        "under way": _under_way(edges),
        "edge hosts": {host: _edge(answer) for host, answer in edges["answers"].items()}
        | dict.fromkeys(edges["down"], SILENT),
        "app hosts": {host: astray.get(host) or ("in order" if host in known else running[host]) for host in running},
        "slots": {slot: _slot(slot, edges, bundles.get(slot), running, stops) for slot in SLOTS},
    } | ({"to do": _put_right(edges)} if any(astray.values()) else {})


def _astray(
    host: str, lines: Sequence[str], live: str | None, bundles: Mapping[str, Any], groups: Mapping[str, Sequence[str]]
) -> list[str]:
    """Say what runs on a host that belongs beside the other slot or on another host, and what should and does not."""
    if live is None or live not in bundles:
        return []
    runs = [name for name, _, state in (line.partition(" ") for line in lines) if state == "running"]
    wanted = [f"{name}-{live}" for name in bundle.live_only(bundles[live], host, groups)]
    followers = {
        f"{name}-{slot}": slot
        for slot, description in bundles.items()
        for name, service in description["services"].items()
        if service["activation"] != "always"
    }
    why = {slot: "though it belongs on another host" if slot == live else f"though {slot} is idle" for slot in SLOTS}
    return [
        *(f"{name} runs, {why[slot]}" for name, slot in followers.items() if name in runs and name not in wanted),
        *(f"{name} does not run, though {live} is live" for name in wanted if name not in runs),
    ]


def _put_right(edges: Mapping[str, Any]) -> str:
    how = "run playbooks/cutover.yml: without `to` it moves nobody, and puts what belongs beside the live slot there"
    if edges["operation"]:
        return f"look again when {edges['operation']} is over; if nobody carries it on, {how}"
    return how.capitalize()


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
    description: Any,
    running: Running,
    stops: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any] | str:
    if not description:
        # Bundles lie on the app hosts.
        return "not known" if running and all(lines == SILENT for lines in running.values()) else "never deployed"
    own = {
        host: lines if isinstance(lines, str) else [line for line in lines if f"-{slot} " in f"{line} "]
        for host, lines in running.items()
    }
    stop = {host: _stop(found) for host, found in stops.items() if found.get("slot") == slot}
    return {
        "serves": "everybody" if slot == edges["live"] and not edges["weight"] else _share(slot, edges),
        "release": description.get("release", "unknown"),
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


def containers(hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> dict[str, list[str] | str]:
    """Return {host: ["name state"]} from what `podman_container_info` found on each of the hosts that were asked.

    In the place of the list stands why there is none.
    """
    found = {host: hostvars[host]["status_containers"] for host in hosts if "status_containers" in hostvars[host]}
    return {host: _containers(result) for host, result in found.items()}


def _containers(result: Mapping[str, Any]) -> list[str] | str:
    # Who is known not to answer is not asked again.
    if result.get("unreachable") or result.get("skipped"):
        return SILENT
    return sorted(f"{each['Name']} {each['State']['Status']}" for each in result.get("containers") or [])


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
