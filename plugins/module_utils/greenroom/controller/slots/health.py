# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether a slot can serve: what HAProxy's health checks say on the edge hosts, and which services run on app hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..bundle.units import slot_started
from .crashes import Readings, is_looping

Answers = Mapping[str, Mapping[str, Any]]
"""The result of `bluegreen_switch` by edge host."""
Down = Mapping[str, Mapping[str, str]]
"""{app host: {unit that does not run: its state}}."""
_RUNS = ("active", "reloading", "activating")
"""A unit that activates starts for the first time, or restarts, which `crashes` tells."""


def unserved(answers: Answers, slot: str) -> dict[str, list[str]]:
    """Return the backends of a slot without a healthy server, {backend: [edge host that says so]}."""
    found: dict[str, list[str]] = {}
    for host, backends in _by_host(answers, slot):
        for name, backend in backends.items():
            if not backend["healthy"]:
                found.setdefault(name, []).append(host)
    return found


def servers(answers: Answers, slot: str) -> list[str]:
    """Return a line for each server of a slot that fails its health check, with the edge hosts that say so."""
    found: dict[str, list[str]] = {}
    for host, backends in _by_host(answers, slot):
        for name, backend in backends.items():
            # Of a singleton's places, all but one are down: they have a colon in their names.
            for server in (each for each in backend["down"] if ":" not in each or not backend["healthy"]):
                found.setdefault(f"{name} on {server}", []).append(host)
    return [f"{what} fails its health check (seen by {', '.join(hosts)})" for what, hosts in found.items()]


def _by_host(answers: Answers, slot: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each edge host whose HAProxy responds, and what it says of a slot's backends."""
    for host, answer in answers.items():
        yield host, (answer.get("health") or {}).get(slot, {})


def down(
    readings: Readings, bundle: Mapping[str, Any], groups: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, str]]:
    """Return the units that must run whether the slot of this `bundle` is live or not, but don't.

    {app host: {unit: its state}}. `status` tells background services from the containers.
    """
    found: dict[str, dict[str, str]] = {}
    for host, units in readings.items():
        for name in (unit["name"] for unit in slot_started(bundle, host, groups)):
            if name in units and not units[name]["state"].startswith(_RUNS):
                found.setdefault(host, {})[name] = units[name]["state"]
    return found


def dead(readings: Readings, bundle: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the units of the slot of this `bundle` that run on none of their hosts, {unit: [`host: its state`]}.

    Units of background services are left out. A unit in a crash loop doesn't run. Nothing is known about a host without
    readings, so units that belong there are left out, too.
    """
    found: dict[str, list[str]] = {}
    homes: dict[str, list[str]] = {}
    for host in dict.fromkeys(host for hosts in groups.values() for host in hosts):
        for unit in slot_started(bundle, host, groups):
            homes.setdefault(unit["name"], []).append(host)
    for name, hosts in homes.items():
        states = [f"{host}: {state}" for host in hosts if (state := _trouble(readings.get(host), name))]
        if len(states) == len(hosts):
            found[name] = states
    return found


def _trouble(units: Mapping[str, Any] | None, unit: str) -> str:
    """Return why a unit doesn't run on a host, "" if it does or if nothing is known about the host."""
    if not units:
        return ""
    if unit not in units:
        # systemd forgets a unit that is stopped.
        return "stopped"
    reading = units[unit]
    if is_looping(reading):
        return f"in a crash loop, {reading['restarts'] or 0} restarts"
    return "" if reading["state"].startswith(_RUNS) else str(reading["state"])


def problems(live: str | None, unserved: Mapping[str, Sequence[str]], down: Down) -> Iterator[str]:
    """Yield what keeps the live slot from serving; `unserved` and `down` are the results of these functions."""
    for backend, hosts in unserved.items():
        yield f"{live} is live, but no server of {backend} is healthy (seen by {', '.join(hosts)}): its requests fail"
    for unit, hosts in _by_unit(down).items():
        yield f"{live} is live, but {unit} does not run on {', '.join(hosts)}"


def repairs(
    live: str | None,
    unserved: Mapping[str, Sequence[str]],
    down: Down,
    rollback: str,
) -> Iterator[str]:
    """Yield what to do so that the live slot serves again; `rollback` is a line, "" if a rollback would not work."""
    for unit, hosts in _by_unit(down).items():
        where = ", ".join(hosts)
        yield f"on {where}: sudo systemctl start {unit}; sudo journalctl -u {unit} says why it does not run"
    if unserved and not down:
        yield f"on the app hosts: sudo journalctl -u '*-{live}.service' says why health checks fail"
    if rollback and (unserved or down):
        yield rollback


def _by_unit(down: Down) -> dict[str, list[str]]:
    units = dict.fromkeys(unit for of_host in down.values() for unit in of_host)
    return {unit: [host for host, of_host in down.items() if unit in of_host] for unit in units}
