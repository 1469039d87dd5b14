# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an edge host says about itself: its state, HAProxy's workers, its peers, and the connections of each slot."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
from typing import Any

from . import haproxy
from .apply import Places, Seen
from .bluegreen import IDLE, LIVE, SLOTS, State, SwitchError, other
from .clock import Clock, utc
from .heard import Heard


def report(places: Places, seen: Seen) -> dict[str, Any]:
    """Return `seen` as plain data, in the form of the module's result.

    If the state is lost (`state_lost`), `live` and the related keys come from the workers, or else from the map file.
    They tell what HAProxy does now; don't derive a new state from them.
    """
    state = seen.state
    if state is None:
        for trace in seen.traces:
            with contextlib.suppress(ValueError):
                state = replace(State.from_value(places.site, trace), operation=None)
                break
    value = state.value if state else None
    operation = state.operation if state else None
    heard = Heard.from_file(places.peers_file)
    workers = [{**worker, "agrees": value is not None and worker["value"] == value} for worker in seen.workers]
    return {
        "site": places.site,
        "live": state.live if state else None,
        "idle": other(state.live) if state else None,
        "epoch": state.epoch if state else 0,
        "highest_epoch": state.highest if state else 0,
        "candidate": (state.candidate or None) if state else None,
        "weight": state.weight if state else 0,
        "previous": state.previous if state else None,
        "value": value or "",
        "changed_at": (state.changed_at or None) if state else None,
        "changed_by": (state.changed_by or None) if state else None,
        "phase": state.phase if state else IDLE,
        "operation": operation.id if operation else None,
        "before": operation.before if operation else "",
        "before_live": (operation.live_before or None) if operation else None,
        "next": operation.next if operation else "",
        "deadline": utc(operation.deadline) if operation else None,
        "overdue": operation is not None and operation.left(Clock.now()) < 0,
        "bakes": operation is not None and operation.phase == LIVE and operation.bake is not None,
        "state_lost": seen.lost,
        "map_present": seen.map_present,
        "disk": {"state": asdict(seen.state) if seen.state else None, "damage": seen.damage, "map": seen.map_value},
        "workers": workers,
        "running": bool(workers),
        "in_force": bool(workers)
        and seen.state is not None
        and seen.map_value == seen.state.value
        and all(worker["agrees"] for worker in workers),
        "peers": dict(heard.peers),
        "unconfirmed": heard.unconfirmed,
    }


def connections(places: Places) -> dict[str, dict[str, int | None]]:
    """Count each slot's connections on all workers; `current` is None if a running worker doesn't answer."""
    found: dict[str, dict[str, int | None]] = {slot: {"current": 0} for slot in SLOTS}
    try:
        for worker in haproxy.workers(places.runtime_socket, places.master_socket, places.seconds):
            with contextlib.suppress(haproxy.NobodyThereError):
                for name, backend in haproxy.backends(worker, places.seconds).items():
                    counted = found.get(name.rpartition("_")[2])
                    if counted is not None:
                        counted["current"] = (counted["current"] or 0) + backend.connections
    except haproxy.SocketError:
        return {slot: {"current": None} for slot in SLOTS}
    return found


def running(places: Places) -> bool:
    """Whether HAProxy runs on this host; raises SwitchError."""
    try:
        return bool(haproxy.workers(places.runtime_socket, places.master_socket, places.seconds))
    except haproxy.SocketError as error:
        raise SwitchError(str(error)) from error


def health(places: Places) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what HAProxy's health checks say, {slot: {backend: {healthy, down: [server]}}}; raises SwitchError.

    This is the newest worker's view. `healthy` is whether a server of the backend is.
    """
    try:
        workers = haproxy.workers(places.runtime_socket, places.master_socket, places.seconds)
        if not workers:
            raise SwitchError("HAProxy isn't running on this host")
        found = haproxy.backends(workers[0], places.seconds)
    except haproxy.SocketError as error:
        raise SwitchError(f"can't tell which servers are healthy: {error}") from error
    return {
        slot: {
            name: {"healthy": backend.healthy, "down": list(backend.down)}
            for name, backend in found.items()
            if name.rpartition("_")[2] == slot
        }
        for slot in SLOTS
    }


def unhealthy(places: Places, slot: str) -> dict[str, list[str]]:
    """Return the backends of a slot that have no healthy server, {backend: [server]}; raises SwitchError."""
    own = health(places)[slot]
    if not own:
        raise SwitchError(f"HAProxy has no servers of {slot}: nothing was ever deployed there")
    return {name: backend["down"] for name, backend in own.items() if not backend["healthy"]}
