# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The summary of a run: which slot is live, what changed, what to do next, and how long the run took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ...switch.bluegreen import other
from ..bundle.description import toggles_on
from ..slots import way_back

Known = Mapping[str, Any]
"""The facts of a run at its end:

environment, address, live and was_live (slots, or None), edge (the latest
result of `edges.together`), unfinished ({slot: why its deploy did not finish}), stops (the planned stops, by host),
rolled_back, taken_back (whether the run aborted an operation
that it found), bundles ({slot: description}, None if the run didn't read them), deployed (the slot that got a bundle,
or ""), release (its name), restore_point (of the databases, that this run set, or ""), check (whether the run was in
check mode), login (of a synthetic user, or ""), pages
({name: address}), confirm (whether runs must be confirmed), started (an ISO time), silent (hosts that did not answer),
lock_host (the one that keeps the lock), missed (why edge hosts did not make the last switch, by host), unread (why the
secrets of checks can't be read, or ""), not_starting ({slot: why its release would not start again}), changed_by and
changed_at (what made the last switch before this run, None if another run did, and when), promoted (what the cutover
waited for that this run promoted, {slot, weight, ...}, or {}), not_backed_up (what nothing backs up, and why, or "").
"""


def summary(known: Known, now: datetime) -> dict[str, Any]:
    """Return the lines of the summary, by name. Unknown facts have no line."""
    # In check mode, `live` is only predicted; the slot that was live before still is.
    live = known["was_live"] if known["check"] else known["live"]
    # Before the first cutover, the deployed slot is the idle slot.
    idle = other(live) if live else known["deployed"] or None
    lines = {
        "environment": known["environment"],
        "address": known["address"],
        "live slot": _slot(live, known["bundles"]) if live else "none yet",
        "toggles on": ", ".join(toggles_on((known["bundles"] or {}).get(live, {}))),
        "idle slot": _slot(idle, known["bundles"]) if idle else "",
        "deployed": _deployed(known),
        "cut over": _cut_over(known),
        "restore point": known["restore_point"],
        "last switch": _last_switch(known),
        "log in as": known["login"],
        **known["pages"],
        "left out": list(_left_out(known)),
        "not backed up": known["not_backed_up"],
        "next": list(_next(known, idle)),
        "seconds": round((now - datetime.fromisoformat(known["started"])).total_seconds()),
    }
    return {name: value for name, value in lines.items() if value not in ("", None, [])}


def _slot(slot: str, bundles: Mapping[str, Any] | None) -> str:
    if bundles is None:
        return slot
    return f"{slot}, release {bundles[slot]['release']}" if slot in bundles else f"{slot}, empty"


def _deployed(known: Known) -> str:
    if not known["deployed"]:
        return "nothing"
    return f"{'would be ' if known['check'] else ''}release {known['release']} to {known['deployed']}"


def _cut_over(known: Known) -> str:
    was, live = known["was_live"], known["live"]
    if known["promoted"]:
        slot, weight = known["promoted"]["slot"], known["promoted"]["weight"]
        return f"in progress: the run that gave {slot} {weight} % goes on with its next step"
    if was == live:
        return "no; the operation in progress was aborted" if known["taken_back"] else "no"
    words = f"{'back ' if known['rolled_back'] else ''}{f'from {was} ' if was else ''}to {live}"
    return f"would be {words}" if known["check"] else words


def _last_switch(known: Known) -> str:
    """Return who moved traffic last, if neither this run did nor another one."""
    moved = known["was_live"] != known["live"] or known["taken_back"]
    return "" if moved or not known["changed_by"] else f"by {known['changed_by']}, at {known['changed_at']}"


def _left_out(known: Known) -> Iterator[str]:
    """Yield what the run did without."""
    for host in known["silent"]:
        yield f"{host} does not answer: nothing was changed or checked there" + (
            ", and the edge hosts kept the lock" if host == known["lock_host"] else ""
        )
    for host, reason in known["missed"].items():
        yield f"{host} did not make the switch; it takes it over from the other edge hosts ({reason})"
    if known["silent"]:
        yield "when they answer again, playbooks/cutover.yml completes the rest there"
    if known["unread"]:
        yield f"checks that need a secret: {known['unread']}"


def _next(known: Known, idle: str | None) -> Iterator[str]:
    """Yield the playbooks to run next, and what each one does."""
    confirm = f" -e confirm={known['environment']}" if known["confirm"] else ""
    yield f"playbooks/status.yml{confirm} shows which slot is live and what runs"
    if idle is None or known["check"] or idle not in (known["bundles"] or {}):
        return
    cutover = f"playbooks/cutover.yml -e to={idle}{confirm} cuts over to {idle}"
    if known["deployed"] == idle:
        # The deploy has checked it, and has replaced what could be rolled back to.
        yield cutover
        return
    if idle in known["unfinished"]:
        yield f"{idle} can't serve: {known['unfinished'][idle]}"
        return
    no_previous = way_back.no_previous(known["edge"])
    down = way_back.down(known["edge"], known["unfinished"], known["stops"])
    if no_previous or down:
        if not down:
            yield cutover
        yield f"no rollback: {no_previous or down}"
    else:
        while_up = (
            f", as long as {idle} keeps running: it would not start again" if idle in known["not_starting"] else ""
        )
        yield f"playbooks/rollback.yml{confirm} rolls back to {idle}{while_up}"
