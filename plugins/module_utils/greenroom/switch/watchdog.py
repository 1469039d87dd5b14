# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-edge: the watchdog of an edge host. It runs when HAProxy starts or reloads, and every few seconds.

An operator switches traffic with the module bluegreen_switch. If the run, HAProxy or the host then fails,
greenroom-edge restores the state on disk or ends the operation.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import apply, haproxy, module_call, steps
from . import peers as switch_peers
from .apply import BusyError, Places, Seen
from .bluegreen import State, SwitchError
from .peers import Peers

CONFIGURATION = "/etc/greenroom/edge.json"
PEERS_SECONDS = 1.5
"""The timeout for all peers together: HAProxy doesn't start before."""
START_SECONDS = 0.5
"""How long HAProxy's start waits for the lock. The process that holds it sets the new worker's value, too."""
RELOAD_SECONDS = 30.0
"""How long a reload waits for the lock, and then for the new worker."""


@dataclass(frozen=True)
class Host:
    """An edge host: where its state is stored, its peers, and the seconds between two checks of its watchdog."""

    places: Places
    peers: Peers
    watchdog_seconds: float

    @classmethod
    def from_file(cls, path: str) -> Host:
        """Read the configuration; raises SwitchError."""
        try:
            with open(path, encoding="utf-8") as file:
                given: dict[str, Any] = json.load(file)
            names = ("site", "state_file", "map_file", "runtime_socket", "master_socket")
            places = Places(*(given[name] for name in names))
            peers = Peers(given["peers"], given["port"], given["public_name"], given["ca_file"])
            return cls(places, peers, given["watchdog_seconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SwitchError(f"{path}: {error!r}") from error


def status(host: Host) -> int:
    """Print the state on disk, in the workers, and the number of connections."""
    places = host.places
    seen = apply.look(places)
    print(json.dumps({**apply.report(places, seen), "connections": apply.connections(places)}, indent=2))
    return 0


def check(host: Host) -> int:
    """Check whether state file, map file and all workers agree: exit code 0, or 1 and the reason."""
    found = apply.report(host.places, apply.look(host.places))
    if found["in_force"]:
        return 0
    if found["state_lost"]:
        reason = "the state was lost: " + (found["disk"]["damage"] or "no state file")
    elif found["live"] is None:
        reason = "no slot is live yet"
    elif not found["running"]:
        reason = "HAProxy isn't running"
    else:
        what = [] if found["disk"]["map"] == _value(found) else ["map"]
        what += [f"worker {worker['name']}" for worker in found["workers"] if not worker["agrees"]]
        reason = f"differs from the state file: {', '.join(what)}"
    print(reason, file=sys.stderr)
    return 1


def _value(found: dict[str, Any]) -> str:
    return f"{found['epoch']}:{found['live']}:{found['candidate'] or '-'}:{found['weight']}"


def settle(host: Host) -> int:
    """Put the state file in effect after HAProxy's start, because the map may have changed since HAProxy read it."""
    with apply.locked(host.places):
        seen = apply.look(host.places)
        if seen.state is not None:
            _say(apply.apply(host.places, seen, seen.state), seen.state)
    return 0


def catch_up(host: Host) -> int:
    """Write the peers' newer state to disk before HAProxy starts; there is no worker yet."""
    found = _ask_peers(host)
    with apply.locked(host.places, START_SECONDS):
        seen = apply.look(host.places, workers=False)
        wanted = caught_up(seen, found, time.time())
        if wanted is not None:
            _say(apply.settle(host.places, seen, wanted), wanted)
    return 0


def watch(host: Host) -> int:
    """Catch up with peers, end an overdue operation, repair differences; does nothing while a switch holds the lock."""
    found = _ask_peers(host)
    try:
        with apply.locked(host.places, 0):
            tick(host.places, found, time.time())
    except BusyError:
        return 0
    return 0


def guard(host: Host) -> int:
    """Run `watch` every few seconds, as a service: a new process for each check would cost many times more.

    If a check fails, print the reason once and try again.
    """
    _notify("READY=1")
    told = ""
    while True:
        try:
            watch(host)
            problem = ""
        except SwitchError as error:
            problem = str(error)
        if problem and problem != told:
            print(problem, file=sys.stderr, flush=True)
        told = problem
        _notify("WATCHDOG=1")
        time.sleep(host.watchdog_seconds)


def _notify(message: str) -> None:
    """Notify systemd, if it listens (sd_notify(3))."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(address)
            channel.send(message.encode())


def tick(places: Places, found: State | None, clock: float) -> list[str]:
    """Run one watchdog check under the lock; `found` is the highest state of the peers. Returns what changed."""
    seen = apply.look(places)
    wanted = caught_up(seen, found, clock)
    if wanted is None:
        return []
    wanted = steps.expire(wanted, clock)
    changed = apply.apply(places, seen, wanted)
    _say(changed, wanted)
    return changed


def caught_up(seen: Seen, found: State | None, clock: float) -> State | None:
    """Return the state on disk, or the peers' state if that is newer; None if there is neither."""
    if found is None:
        return seen.state
    if seen.state is None and found.epoch < steps.highest_trace(seen.traces):
        # The state was lost, and HAProxy here serves a newer epoch than the peers know. An operator must decide.
        return None
    return steps.adopt(seen.state, found, clock)


def reload(host: Host) -> int:
    """Write the map from the state file, reload HAProxy, and set the value in every worker."""
    places = host.places
    with apply.locked(places, RELOAD_SECONDS):
        seen = apply.look(places)
        if seen.state is not None:
            _say(apply.settle(places, seen, seen.state), seen.state)
        try:
            print(haproxy.reload(places.master_socket, places.runtime_socket, RELOAD_SECONDS))
        except haproxy.SocketError as error:
            raise SwitchError(str(error)) from error
        if seen.state is not None:
            apply.apply(places, replace(seen, map_value=seen.state.value), seen.state)
    return 0


def _ask_peers(host: Host) -> State | None:
    found, _problems = switch_peers.highest(host.peers, host.places.site, PEERS_SECONDS)
    return found


def _say(changed: list[str], state: State) -> None:
    if changed:
        operation = f"{state.phase} of {state.operation.id}" if state.operation else "no operation"
        print(f"{state.site}: {state.value}, {operation}; changed: {', '.join(changed)}", flush=True)


def module() -> int:
    """Carry out a call of bluegreen_switch that an action plugin sends on standard input; print the module's result.

    Only with the same logic as the controller's: its module would follow the same rules, and takes twice as long.
    """
    request: dict[str, Any] = json.load(sys.stdin)
    if request["logic"] != module_call.logic_digest():
        print(json.dumps({"other_logic": True}))
        return 0
    try:
        result = module_call.carry_out(request["arguments"], request["check"])
    except SwitchError as error:
        result = {"failed": True, "msg": str(error)}
    print(json.dumps(result))
    return 0


COMMANDS: dict[str, Callable[[Host], int]] = {
    "status": status,
    "check": check,
    "settle": settle,
    "catch-up": catch_up,
    "watch": watch,
    "guard": guard,
    "reload": reload,
}


def main(arguments: Sequence[str], configuration: str = CONFIGURATION) -> int:
    """Run one command; returns the exit code."""
    if arguments == ["module"]:
        return module()
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: greenroom-edge {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return COMMANDS[arguments[0]](Host.from_file(configuration))
    except SwitchError as error:
        print(error, file=sys.stderr)
        return 1
