# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether traffic can move to the idle slot, by a rollback or a cutover, by what a run knows when it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...switch.bluegreen import SLOTS, other
from . import health

Stops = Mapping[str, Mapping[str, Any]]
Dead = Mapping[str, Sequence[str]]
"""{unit that runs on none of its hosts: [`host: its state`]}, the result of `health.dead`."""


def objection(edges: Mapping[str, Any], unfinished: Mapping[str, str], stops: Stops, dead: Dead) -> str:
    """Return why a rollback would be refused, "" if it works. The arguments are those of the functions below."""
    return no_previous(edges) or down(edges, unfinished, stops, dead)


def no_previous(edges: Mapping[str, Any]) -> str:
    """Return why there is no slot to roll back to, "" if there is one; `edges` is the result of `edges.together`."""
    live, previous = edges["live"], edges.get("previous")
    if live not in SLOTS:
        return "no slot is live yet"
    if previous == other(live):
        return ""
    if previous is None:
        return "the last switch was made by an earlier version of Greenroom, which did not record the previous slot"
    return (
        f"{other(live)} was not live before {live}, a deploy has replaced it since, or traffic was rolled back from it"
    )


def down(edges: Mapping[str, Any], unfinished: Mapping[str, str], stops: Stops, dead: Dead | None = None) -> str:
    """Return why the idle slot gets no traffic, not even by a cutover; "" if it can serve.

    `unfinished` is {slot: why its deploy did not finish}, `stops` the planned stops, {host: {slot, says}}, `dead` the
    idle slot's units that don't run. A rollback and a cutover start a slot that such a stop has stopped.
    """
    idle = other(edges["live"])
    if idle in unfinished:
        return unfinished[idle]
    if any(stop["slot"] == idle for stop in stops.values()):
        return ""
    if dead:
        return _not_running(dead)
    unserved = health.unserved(edges["answers"], idle)
    return f"no server of {', '.join(unserved)} is healthy" if unserved else ""


def _not_running(dead: Dead) -> str:
    return "; ".join(f"{unit} does not run ({', '.join(states)})" for unit, states in dead.items())


def refusal(slot: str, reason: str, dead: Dead, release: str) -> str:
    """Return the message of a run that moves no traffic to `slot` because of `reason`, the result of `down`.

    `release` is the slot's.
    """
    units = list(dead) or [f"'*-{slot}.service'"]
    logs = " ".join(f"-u {unit}" for unit in units)
    repair = f"Start what does not run (sudo systemctl restart {' '.join(units)})" if dead else "Repair it"
    return (
        f"No traffic was moved: {slot} can't serve: {reason}. On the app hosts, sudo journalctl {logs} says why. "
        f"{repair}, or deploy" + f" to the slot again (playbooks/deploy.yml -e release_name={release}). "
        "To move traffic there all the same: -e cutover_unhealthy=accept"
    )
