# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether playbooks/rollback.yml would work now, by what a run knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...switch.bluegreen import SLOTS, other
from . import health

Stops = Mapping[str, Mapping[str, Any]]


def objection(edges: Mapping[str, Any], unfinished: Mapping[str, str], stops: Stops) -> str:
    """Return why a rollback would be refused, "" if it works. The arguments are those of the functions below."""
    return no_previous(edges) or down(edges, unfinished, stops)


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


def down(edges: Mapping[str, Any], unfinished: Mapping[str, str], stops: Stops) -> str:
    """Return why the idle slot gets no traffic, not even by a cutover; "" if it can serve.

    `unfinished` is {slot: why its deploy did not finish}, `stops` the planned stops, {host: {slot, says}}. A rollback
    and a cutover start a slot that such a stop has stopped.
    """
    idle = other(edges["live"])
    if idle in unfinished:
        return unfinished[idle]
    stopped = any(stop["slot"] == idle for stop in stops.values())
    unserved = [] if stopped else health.unserved(edges["answers"], idle)
    return f"no server of {', '.join(unserved)} is healthy" if unserved else ""
