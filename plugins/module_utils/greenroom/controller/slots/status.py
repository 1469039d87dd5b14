# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The status of an environment's slots: which one is live, the operation in progress, and what each slot runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...switch.bluegreen import SLOTS, other
from ...switch.slot_stop import STOPPED
from ..bundle.activation import live_only, unrivaled
from ..bundle.description import toggles_on
from ..lock.holder import waiting
from . import crashes, health, way_back
from .kept_files import kept_files

SILENT = "does not answer"
ID_DIGITS = 12
"""So many digits of a release's ID tell it from others."""
PREVIOUS = {"": "none: there is nothing to roll back to", None: "unknown"}
Running = Mapping[str, Sequence[str] | str]
"""{host: [name and state of a container]}; a string instead of the list is the reason why it is missing."""


def summary(
    edges: Mapping[str, Any],
    bundles: Mapping[str, Any],
    running: Running,
    stops: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    *,
    unfinished: Mapping[str, str] | None = None,
    not_starting: Mapping[str, str] | None = None,
    pause: Mapping[str, Any] | None = None,
    readings: crashes.Readings | None = None,
    silent: Sequence[str] = (),
    lock: str = "unknown",
    volumes: Mapping[str, Sequence[str]] | None = None,
    jobs: Mapping[str, str] | None = None,
    maintenance: Mapping[str, str] | None = None,
    certificates: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what `playbooks/status.yml` prints.

    `edges` is the result of `edges.together` for the edge hosts' status, `bundles` is {slot: description}, `running`
    the result of `containers`, `stops` the planned stops {host: {slot, at, says}}, `groups` the hosts by group,
    `unfinished` {slot: why its deploy did not finish}, `not_starting` {slot: why its release would not start again},
    `pause` the result of `pause.pause`, `readings` that of `crashes.readings`, `silent` the hosts that did not answer
    when the run began, `lock` who holds the environment's lock, `volumes` the folders of volumes by host, `jobs` the
    result of `job_status.job_lines`, `maintenance` that of `maintenance_status.maintenance_lines`, and `certificates`
    that of `certificate_status.certificate_lines`.
    """
    live = edges["live"]
    down = {slot: health.down(_unstopped(readings or {}, slot, stops), own, groups) for slot, own in bundles.items()}
    found = {
        slot: {
            **bundle,
            "unfinished": (unfinished or {}).get(slot),
            "not_starting": (not_starting or {}).get(slot),
            "release_id": _release_id(slot, bundles),
            "crashes": crashes.lines(readings or {}, slot),
            "down": [f"{unit} on {host} is {state}" for host, own in down[slot].items() for unit, state in own.items()],
        }
        for slot, bundle in bundles.items()
    }
    known = {host: lines for host, lines in running.items() if not isinstance(lines, str)}
    astray = {host: _astray(host, lines, edges["live"], bundles, groups) for host, lines in known.items()}
    wrong = {
        host: [f"{unit} is {state}, but {live} is live" for unit, state in down.get(live, {}).get(host, {}).items()]
        + own
        + crashes.on_host(readings or {}, host)
        for host, own in astray.items()
    }
    idle = bundles.get(other(live)) if live else None
    dead = health.dead(readings or {}, idle, groups) if idle else {}
    no_way_back = way_back.objection(edges, unfinished or {}, stops, dead)
    unserved = health.unserved(edges["answers"], live)
    problems = list(health.problems(live, unserved, down.get(live, {})))
    to_do = [
        *health.repairs(live, unserved, down.get(live, {}), "" if no_way_back else _rollback(live, bundles)),
        *([_to_do(edges)] if any(astray.values()) else []),
    ]
    return (
        ({"problems": problems} if problems else {})
        | {
            "live slot": edges["live"] or "none yet",
            "epoch": edges["epoch"],
            "since": (edges["changed_at"] or "never")
            + (f", by {edges['changed_by']}" if edges.get("changed_by") else ""),
            "previous slot": _previous(edges, no_way_back),
            "operation": _operation(edges) + _pause(pause or {}),
            "edge hosts": {host: _edge(answer) for host, answer in edges["answers"].items()}
            | dict.fromkeys(edges["down"], SILENT),
            **({"ops hosts": _answering(groups["ops"], silent)} if groups.get("ops") else {}),
            "lock": lock,
            "app hosts": {
                host: wrong.get(host) or ("in order" if host in known else running[host]) for host in running
            },
            "slots": {slot: _slot(slot, edges, found.get(slot), running, stops) for slot in SLOTS},
        }
        | ({"volumes": kept} if (kept := kept_files(volumes or {}, bundles)) else {})
        | ({"jobs": dict(jobs)} if jobs else {})
        | ({"maintenance": dict(maintenance)} if maintenance else {})
        | ({"certificates": dict(certificates)} if certificates else {})
        | ({"to do": to_do} if to_do else {})
    )


def _rollback(live: str, bundles: Mapping[str, Any]) -> str:
    release = bundles.get(other(live), {}).get("release", "unknown")
    return f"or run playbooks/rollback.yml: {other(live)}, release {release}, can serve"


def _answering(hosts: Sequence[str], silent: Sequence[str]) -> dict[str, str]:
    return {host: SILENT if host in silent else "answers" for host in hosts}


def _previous(edges: Mapping[str, Any], objection: str) -> str:
    previous = edges.get("previous")
    if previous in PREVIOUS:
        return PREVIOUS[previous]
    return f"{previous}, but a rollback would be refused: {objection}" if objection else str(previous)


def _unstopped(
    readings: crashes.Readings, slot: str, stops: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Return the readings of the hosts on which no planned stop has stopped a slot."""
    stopped = [host for host, stop in stops.items() if stop.get("slot") == slot and stop.get("says") == STOPPED]
    return {host: units for host, units in readings.items() if host not in stopped}


def _astray(
    host: str, lines: Sequence[str], live: str | None, bundles: Mapping[str, Any], groups: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the background services that run on the wrong host or for the wrong slot, and those that don't run."""
    if live is None or live not in bundles:
        return []
    runs = [name for name, _, state in (line.partition(" ") for line in lines) if state == "running"]
    wanted = [f"{name}-{live}" for name in live_only(bundles[live], host, groups)]
    followers = {
        f"{name}-{slot}": slot
        for slot, description in bundles.items()
        for name, service in description["services"].items()
        if service["activation"] != "always"
        and not (slot != live and name in unrivaled(description["services"], bundles[live]))
    }
    why = {slot: "but belongs on another host" if slot == live else f"but {slot} is idle" for slot in SLOTS}
    return [
        *(f"{name} is running, {why[slot]}" for name, slot in followers.items() if name in runs and name not in wanted),
        *(f"{name} is not running, but {live} is live" for name in wanted if name not in runs),
    ]


def _to_do(edges: Mapping[str, Any]) -> str:
    how = "run playbooks/cutover.yml: without `to`, it moves background services to the live slot, and no traffic"
    if edges["operation"]:
        return f"check again when {edges['operation']} is over; if no run continues it, {how}"
    return how.capitalize()


def _operation(edges: Mapping[str, Any]) -> str:
    if not edges["operation"]:
        return "none"
    share = f", {edges['candidate']} gets {edges['weight']} %" if edges["weight"] else ""
    late = "; it is overdue" if edges.get("overdue") else ""
    return f"{edges['operation']}: {edges['phase']}{share}, until {edges['deadline']}{late}"


def _pause(pause: Mapping[str, Any]) -> str:
    return f"; it {waiting(dict(pause))}" if pause else ""


def _edge(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state on an edge host's disk, whether it is in effect, and what is wrong with workers and peers."""
    state = answer["disk"]["state"]
    said = {
        "disk": f"{state['live']} at epoch {state['epoch']}" if state else answer["disk"]["damage"] or "nothing",
        "load balancer": "in effect" if answer["in_force"] else "not in effect" if answer["running"] else "not running",
    }
    odd = {
        f"worker {worker['name']}{' (old)' if worker['old'] else ''}": worker["problem"] or worker["value"] or "nothing"
        for worker in answer["workers"]
        if not worker["agrees"]
    }
    silent = {f"edge host {peer}": problem for peer, problem in (answer.get("peers") or {}).items() if problem}
    if answer.get("unconfirmed"):
        silent["confirmed"] = "by no other edge host since HAProxy started, so it may be old"
    return said | odd | silent


def _slot(
    slot: str,
    edges: Mapping[str, Any],
    description: Any,
    running: Running,
    stops: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any] | str:
    if not description:
        # Only app hosts have the bundles.
        return "unknown" if running and all(lines == SILENT for lines in running.values()) else "never deployed"
    own = {
        host: lines if isinstance(lines, str) else [line for line in lines if f"-{slot} " in f"{line} "]
        for host, lines in running.items()
    }
    stop = {host: _stop(found) for host, found in stops.items() if found.get("slot") == slot}
    return {
        "serves": "all traffic" if slot == edges["live"] and not edges["weight"] else _share(slot, edges),
        "release": description.get("release", "unknown"),
        **({"release ID": description["release_id"]} if description["release_id"] else {}),
        **({"unfinished": why} if (why := description.get("unfinished")) else {}),
        **({"restart": f"would fail: {why}"} if (why := description.get("not_starting")) else {}),
        **({"toggles on": ", ".join(toggles_on(description)) or "none"} if description.get("toggles") else {}),
        **({"down": description["down"]} if description["down"] else {}),
        **({"unhealthy": ill} if (ill := health.servers(edges["answers"], slot)) else {}),
        **({"crashes": description["crashes"]} if description["crashes"] else {}),
        "open requests": edges["connections"][slot],
        "runs": own,
    } | ({"stop": stop} if stop else {})


def _release_id(slot: str, bundles: Mapping[str, Any]) -> str:
    """Return what tells a slot's release from another one of the same name: the beginning of its ID, "" without one."""
    # Bundles of earlier versions name no ID.
    own = str(bundles[slot].get("id", ""))[:ID_DIGITS]
    alike = [
        name for name, other in bundles.items() if name != slot and other.get("release") == bundles[slot].get("release")
    ]
    differs = any(bundles[name].get(key) != bundles[slot].get(key) for name in alike for key in ("id", "images"))
    return f"{own or 'unknown'}: not the same as in {alike[0]}, although it has the same name" if differs else own


def _stop(found: Mapping[str, Any]) -> str:
    """Return the planned stop on a host, and its result."""
    return f"{found['says']} (planned for {found['at']})" if found.get("says") else f"planned for {found['at']}"


def _share(slot: str, edges: Mapping[str, Any]) -> str:
    if slot == edges["candidate"] and edges["weight"]:
        return f"{edges['weight']} %"
    return f"{100 - edges['weight']} %" if slot == edges["live"] else "no traffic"


def containers(hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> dict[str, list[str] | str]:
    """Return {host: ["name state"]} from the results of `podman_container_info` on the hosts.

    A string instead of the list is the reason why it is missing.
    """
    found = {host: hostvars[host]["status_containers"] for host in hosts if "status_containers" in hostvars[host]}
    return {host: _containers(result) for host, result in found.items()}


def _containers(result: Mapping[str, Any]) -> list[str] | str:
    # The status play skips this task on hosts that it couldn't reach before.
    if result.get("unreachable") or result.get("skipped"):
        return SILENT
    return sorted(f"{each['Name']} {each['State']['Status']}" for each in result.get("containers") or [])
