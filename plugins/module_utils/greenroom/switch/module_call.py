# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One call of `bluegreen_switch` on an edge host: status, a step of an operation, check mode and diff."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import apply, steps
from .apply import Places, Seen
from .bluegreen import State, SwitchError, other
from .clock import Clock
from .report import connections, health, report, running, unhealthy
from .steps import Wish

POLL = 0.05
WISHES = ("state", "live", "weight", "epoch", "expected_epoch", "deadline", "recover", "bake", "final", "by")
PACKAGES = ("canary", "common", "switch")
"""The packages that greenroom-edge consists of."""


def logic_digest() -> str:
    """Return a hash of the packages' files: equal on controller and host if both have the same logic."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for file in sorted(Path(__file__).parents[1].joinpath(package).glob("*.py")):
            digest.update(f"{package}/{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def carry_out(given: Mapping[str, Any], check: bool) -> dict[str, Any]:
    """Carry out a call with the module's arguments, or with `check`, predict it. Returns the module's result.

    Raises SwitchError for what is refused.
    """
    files = (given["state_file"], given["map_file"], given["socket"], given["master_socket"])
    places = Places(given["site"], *files, given["timeout"], given["peers_file"])
    return {**_result(places, given, check), "health": _health(places)}


def _health(places: Places) -> dict[str, dict[str, dict[str, Any]]] | None:
    """Return what the health checks say, None if HAProxy doesn't."""
    with contextlib.suppress(SwitchError):
        return health(places)
    return None


def _result(places: Places, given: Mapping[str, Any], check: bool) -> dict[str, Any]:
    """Return the module's result without the health of servers."""
    drain_timeout = 0 if check else given["drain_timeout"]
    if given["state"] == "status":
        found = report(places, apply.look(places))
        return {"changed": False, **found, "connections": wait_for_drain(places, found["idle"], drain_timeout)}
    wish = Wish(operation=given["operation"] or "", **{name: given[name] for name in WISHES})
    newest = _newest(given["site"], given["newest"])
    if given["healthy"] and wish.live and not check:
        wait_for_health(places, other(wish.live) if wish.weight else wish.live)
    if check:
        result = switch(places, wish, check=True, newest=newest)
    else:
        with apply.locked(places):
            if given["finish"] and given["state"] == "draining" and _drained(places):
                # One step less on disk.
                wish = replace(wish, state="finished")
            result = switch(places, wish, check=False, newest=newest)
    if given["state"] in ("draining", "replacing"):
        result["connections"] = wait_for_drain(places, result["idle"], drain_timeout)
        if given["finish"] and wish.state == "draining" and not check:
            result = finished(places, wish, result)
    return result


def _newest(site: str, value: str) -> State | None:
    """Parse what the caller found to be the environment's newest state; raises SwitchError."""
    try:
        return State.from_value(site, value) if value else None
    except ValueError as error:
        raise SwitchError(f"newest: {error}") from error


def described(seen: Seen) -> str:
    """Return the state, the map and the workers as lines for a diff."""
    state = seen.state
    lines = [f"state: {state.value if state else 'none'}", f"map: {seen.map_value or 'none'}"]
    if state and state.operation:
        following = f", then {state.operation.next}" if state.operation.next else ""
        lines.insert(1, f"operation: {state.operation.id}, {state.phase}{following}")
    return (
        "\n".join([*lines, *(f"worker {worker['name']}: {worker['value'] or 'none'}" for worker in seen.workers)])
        + "\n"
    )


def predicted(seen: Seen, wanted: State) -> Seen:
    """Return the predicted result of applying `wanted`."""
    workers = [worker if worker["problem"] else {**worker, "value": wanted.value} for worker in seen.workers]
    return Seen(wanted, "", wanted.value, True, workers)


def differences(before: Seen, after: Seen) -> list[str]:
    """Return the names of what differs: state, map, workers."""
    found = ["state"] if before.state != after.state else []
    if before.map_value != after.map_value:
        found.append("map")
    pairs = zip(before.workers, after.workers, strict=True)
    return found + [f"worker {old['name']}" for old, new in pairs if old["value"] != new["value"]]


def switch(places: Places, wish: Wish, check: bool, newest: State | None = None) -> dict[str, Any]:
    """Carry out the request, or with `check`, predict the result.

    An edge host that is behind `newest` takes that over first, as from a peer, even if the request is then refused.
    """
    clock = Clock.now()
    seen = apply.look(places)
    now = apply.caught_up(seen, newest, clock)
    try:
        if now is None:
            wanted = steps.first(places.site, wish, seen.traces, seen.damage, clock)
        else:
            wanted = steps.decide(now, wish, clock)
    except SwitchError:
        if now is not None and now != seen.state and not check:
            apply.apply(places, seen, now)
        raise
    after = predicted(seen, wanted)
    if check:
        repaired = differences(seen, after)
        result = {**report(places, after), "in_force": report(places, seen)["in_force"]}
    else:
        repaired = apply.apply(places, seen, wanted)
        after = apply.look(places) if repaired else seen
        result = report(places, after)
    if wanted.only_wound_since(seen.state):
        repaired.remove("state")
    diff = {"before": described(seen), "after": described(after)}
    return {**result, "changed": bool(repaired), "repaired": repaired, "diff": diff}


def wait_for_health(places: Places, slot: str) -> None:
    """Wait up to `places.seconds` until each backend of the slot has a healthy server; raises SwitchError.

    HAProxy notices a server that has just started after a check or two. Without HAProxy, there is nothing to check.
    """
    give_up = time.monotonic() + places.seconds
    while running(places) and (ill := unhealthy(places, slot)):
        if time.monotonic() > give_up:
            what = ", ".join(f"{name} ({', '.join(servers)})" for name, servers in ill.items())
            raise SwitchError(
                f"refused: no server of {what} is healthy, so {slot} gets no traffic. "
                f"There, sudo systemctl status '*-{slot}.service' says why. "
                "To move it anyway: -e cutover_unhealthy=accept"
            )
        time.sleep(POLL)


def wait_for_drain(places: Places, left: str | None, drain_timeout: float) -> dict[str, dict[str, int | None]]:
    """Count each slot's connections; wait up to `drain_timeout` seconds until the slot `left` has none."""
    give_up = time.monotonic() + drain_timeout
    while True:
        found: dict[str, dict[str, int | None]] = connections(places)
        if left is None or found[left]["current"] == 0 or time.monotonic() > give_up:
            return found
        time.sleep(POLL)


def _drained(places: Places) -> bool:
    """Whether the idle slot has no connections already."""
    state = apply.look(places, workers=False).state
    return state is not None and connections(places)[other(state.live)]["current"] == 0


def finished(places: Places, wish: Wish, drained: dict[str, Any]) -> dict[str, Any]:
    """End the operation if the previous slot has no connections; return the combined result with draining."""
    if drained["connections"][drained["idle"]]["current"] != 0:
        return drained
    with apply.locked(places):
        ended = switch(places, replace(wish, state="finished"), check=False)
    together = {
        "changed": drained["changed"] or ended["changed"],
        "repaired": list(dict.fromkeys(drained["repaired"] + ended["repaired"])),
        "diff": [drained["diff"], ended["diff"]],
    }
    return {**drained, **ended, **together}
