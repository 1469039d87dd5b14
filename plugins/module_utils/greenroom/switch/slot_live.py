# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-live: starts the background services of the live slot when an app host boots.

The host may have been down during a cutover, so what ran here before may belong to the idle slot. greenroom-live asks
the edge hosts which slot is live. Without an answer, it starts nothing and asks again.

A run may have slept since it looked which slot is live. So before it moves background services or deploys, the host
checks with `greenroom-live live <slot>` or `greenroom-live idle <slot>` that nothing has changed since.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import peers as switch_peers
from .bluegreen import State
from .peers import Peers

SECONDS = 3.0
"""The timeout for all edge hosts together."""
AGAIN = 5.0
"""Seconds until the next question if no edge host answered."""


class ConfigurationError(Exception):
    """The configuration can't be read."""


@dataclass(frozen=True)
class Host:
    """An app host: the environment's site, the edge hosts to ask, and the folder with a list of units for each slot.

    The list `<slot>.live` is part of the slot's bundle: one unit per line, those that run here while the slot is live.
    """

    site: str
    edges: Peers
    slots: Path

    @classmethod
    def from_file(cls, path: str) -> Host:
        """Read the configuration; raises ConfigurationError."""
        try:
            given = json.loads(Path(path).read_text(encoding="utf-8"))
            edges = Peers(given["edges"], given["port"], given["public_name"], given["ca_file"])
            return cls(given["site"], edges, Path(given["slots"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{path}: {error!r}") from error

    def units(self, slot: str) -> list[str]:
        """Return the units that run here while `slot` is live; none if the host doesn't have the slot."""
        return self._list(slot, "live")

    def jobs(self, slot: str) -> list[str]:
        """Return the scheduled jobs that this host starts while `slot` is live, by their containers' names."""
        return self._list(slot, "jobs")

    def _list(self, slot: str, kind: str) -> list[str]:
        try:
            return (self.slots / f"{slot}.{kind}").read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return []


def live_slot(host: Host) -> str | None:
    """Return the live slot, "" if no slot was ever live, None if no edge host answered."""
    state, answered = newest(host)
    if state is not None:
        return state.live
    return "" if answered else None


def newest(host: Host) -> tuple[State | None, bool]:
    """Return what the edge hosts have in effect (None before the first cutover), and whether one answered."""
    states, problems = switch_peers.states(host.edges, host.site, SECONDS)
    state = max(states.values(), key=lambda state: state.precedence, default=None)
    return state, len(problems) < len(host.edges.addresses)


def start(host: Host, call: Callable[[Sequence[str]], int], sleep: Callable[[float], None]) -> int:
    """Ask until an edge host answers, then start the units of the live slot; returns the exit code."""
    told = False
    while (slot := live_slot(host)) is None:
        if not told:
            print("no edge host answers, so nothing is started yet; asking again", flush=True)
        told = True
        sleep(AGAIN)
    units = host.units(slot) if slot else []
    print(f"{slot or 'no slot'} is live; starting {', '.join(units) or 'nothing'}", flush=True)
    return call(["systemctl", "start", "--no-block", *units]) if units else 0


def check_live(host: Host, slot: str) -> int:
    """Return 0 unless the edge hosts say that another slot is live than the run that asks has made live; print that.

    The run may have slept since, and another one, or an operator on an edge host, has moved traffic. Without an answer,
    the run knows best.
    """
    state, _answered = newest(host)
    if state is None or state.live == slot:
        return 0
    print(
        f"refused: {state.live} is live, not {slot}: traffic was moved since, without this run. Background services "
        "stay as they are; playbooks/cutover.yml without `to` moves them to the live slot",
        file=sys.stderr,
    )
    return 1


def check_idle(host: Host, slot: str) -> int:
    """Return 0 unless the edge hosts say that the slot which a run wants to deploy to gets traffic; print that."""
    state, _answered = newest(host)
    if state is None or slot not in (state.live, state.candidate if state.weight else state.live):
        return 0
    print(
        f"refused: {slot} gets public traffic: it was moved there since, without this run. Nothing is deployed to it",
        file=sys.stderr,
    )
    return 1


CHECKS = {"live": check_live, "idle": check_idle}


def _call(command: Sequence[str]) -> int:
    return subprocess.run(command, check=False).returncode


def main(
    configuration: str,
    arguments: Sequence[str] = (),
    call: Callable[[Sequence[str]], int] = _call,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Start the background services of the live slot, or check a slot; returns the exit code.

    `arguments` are `live <slot>` or `idle <slot>`, or none.
    """
    try:
        host = Host.from_file(configuration)
        if arguments:
            kind, slot = arguments
            return CHECKS[kind](host, slot)
        return start(host, call, sleep)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
