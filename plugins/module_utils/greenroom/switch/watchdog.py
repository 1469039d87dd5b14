# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-edge: the watchdog of an edge host. It runs when HAProxy starts or reloads, and every few seconds.

An operator switches traffic with the module bluegreen_switch. If the run, HAProxy or the host then fails,
greenroom-edge restores the state on disk or ends the operation.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..common.started import STARTED
from . import apply, deadline, haproxy, module_call, takeover
from . import peers as switch_peers
from .apply import BusyError, Places
from .back import back, back_by_force
from .bluegreen import State, SwitchError
from .clock import Clock
from .deadline import Judged
from .heard import Heard
from .host import Host
from .report import connections, report

CONFIGURATION = "/etc/greenroom/edge.json"
PEERS_SECONDS = 1.5
"""The timeout for all peers together: HAProxy doesn't start before."""
START_SECONDS = 0.5
"""How long HAProxy's start waits for the lock. The process that holds it sets the new worker's value, too."""
RELOAD_SECONDS = 30.0
"""How long a reload waits for the lock, and then for the new worker."""


def status(host: Host) -> int:
    """Print the state on disk and in the workers, problems of peers, and the number of connections, as JSON."""
    places = host.places
    print(json.dumps({**report(places, apply.look(places)), "connections": connections(places)}, indent=2))
    return 0


def check(host: Host) -> int:
    """Check whether state file, map file and all workers agree: exit code 0, or 1 and the reason.

    A peer that doesn't answer, and a state that no peer has confirmed, are only printed.
    """
    found = report(host.places, apply.look(host.places))
    for line in Heard(found["peers"], not found["unconfirmed"]).news(Heard()):
        print(line, file=sys.stderr)
    if found["in_force"]:
        return 0
    if found["state_lost"]:
        reason = "the state was lost: " + (found["disk"]["damage"] or "no state file")
    elif found["live"] is None:
        reason = "no slot is live yet"
    elif not found["running"]:
        reason = "HAProxy isn't running"
    else:
        what = [] if found["disk"]["map"] == found["value"] else ["map"]
        what += [f"worker {worker['name']}" for worker in found["workers"] if not worker["agrees"]]
        reason = f"differs from the state file: {', '.join(what)}"
    print(reason, file=sys.stderr)
    return 1


def settle(host: Host) -> int:
    """Put the state file in effect after HAProxy's start, because the map may have changed since HAProxy read it."""
    with apply.locked(host.places):
        tick(host.places, None, Clock.now())
    return 0


def catch_up(host: Host) -> int:
    """Write the peers' newer state to disk before HAProxy starts; there is no worker yet."""
    states, problems = _ask_peers(host)
    try:
        with apply.locked(host.places, START_SECONDS):
            seen = apply.look(host.places, workers=False)
            clock = Clock.now()
            now = apply.caught_up(seen, takeover.together(states.values()), clock)
            if now is not None:
                wanted = deadline.expire(now, clock)
                _say(apply.settle(host.places, seen, wanted), wanted)
    finally:
        _note(host, Heard(), states, problems)
    return 0


def watch(host: Host) -> int:
    """Catch up with peers, end an overdue operation, repair differences; does nothing while a switch holds the lock."""
    # Without the lock, because reading a log takes a while, and before the peers, who may have decided meanwhile.
    judged = _judge(host)
    states, problems = _ask_peers(host)
    try:
        with apply.locked(host.places, 0):
            tick(host.places, takeover.together(states.values()), Clock.now(), judged)
    except BusyError:
        return 0
    finally:
        _note(host, Heard.from_file(host.places.peers_file), states, problems)
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


def _judge(host: Host) -> Judged | None:
    """Return the verdict on a bake whose run is gone; None if there is no such bake."""
    state = apply.look(host.places, workers=False).state
    if state is None or not deadline.unjudged(state, Clock.now()):
        return None
    # Only here, because it loads what a canary needs, which takes as long as everything else.
    from . import bake  # noqa: PLC0415

    return bake.judge(state, host.places, 1 + len(host.peers.addresses), lambda: _notify("WATCHDOG=1"))


def tick(places: Places, found: State | None, clock: Clock, judged: Judged | None = None) -> list[str]:
    """Run one watchdog check under the lock; `found` is what the peers have in effect. Returns what changed."""
    seen = apply.look(places)
    now = apply.caught_up(seen, found, clock)
    if now is None:
        return []
    wanted = deadline.expire(now, clock, judged)
    if judged is not None and now.operation is not None and wanted.operation is None:
        print(f"{now.site}: {judged.line}", flush=True)
    # The end of an overdue canary doesn't wait for a full disk. The next check comes to that end from the same file.
    overdue = seen.state is not None and deadline.expire(seen.state, clock).weight < seen.state.weight
    changed = apply.apply(places, seen, wanted, unsaved=overdue and not wanted.weight)
    _say(changed, wanted)
    return changed


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


def _ask_peers(host: Host) -> tuple[dict[str, State], dict[str, str]]:
    return switch_peers.states(host.peers, host.places.site, PEERS_SECONDS)


def _note(host: Host, before: Heard, states: dict[str, State], problems: dict[str, str]) -> None:
    """Note what the peers said for status and metrics, and print what is new in it."""
    if not host.places.peers_file:
        return
    own = apply.look(host.places, workers=False).state
    heard = before.after(host.peers.addresses, own, states, problems)
    for line in heard.news(before):
        print(line, file=sys.stderr, flush=True)
    # A file that can't be written grows old, and that is reported.
    with contextlib.suppress(OSError):
        heard.write(host.places.peers_file)
    with contextlib.suppress(OSError):
        if host.metrics_file:
            heard.write_metrics(host.metrics_file, own)


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
    print(STARTED, flush=True)
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
    "back": back,
    "back --force": back_by_force,
}


def usage() -> str:
    """Return each command with what it does, from its docstring."""
    commands = {**COMMANDS, "module": module}
    lines = [f"  {name:<13} {(call.__doc__ or '').splitlines()[0]}" for name, call in commands.items()]
    return "\n".join([f"usage: greenroom-edge {'|'.join(commands)}", *lines])


def main(arguments: Sequence[str], configuration: str = CONFIGURATION) -> int:
    """Run one command; returns the exit code."""
    command = " ".join(arguments)
    if command == "module":
        return module()
    if command in ("help", "--help", "-h"):
        print(usage())
        return 0
    if command not in COMMANDS:
        print(usage(), file=sys.stderr)
        return 2
    try:
        return COMMANDS[command](Host.from_file(configuration))
    except SwitchError as error:
        print(error, file=sys.stderr)
        return 1
