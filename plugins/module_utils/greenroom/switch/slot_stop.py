# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-stop: stops a slot's services on an app host some time after the public has left the slot.

The run that planned it is long gone by then, so that every edge host is asked first: nothing is stopped unless each of
them still has in force what the cut-over made. Whoever wants the slot before that calls the stop off (roles/stop).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common import durable
from . import peers as switch_peers
from .bluegreen import SLOTS, State
from .peers import Peers

SECONDS = 5.0
"""How long the edge hosts may take to answer, all together."""
AGAIN = 75
"""The exit code (EX_TEMPFAIL) after which systemd tries again: somebody did not answer."""


class PlanError(Exception):
    """A plan that can't be read, or units that can't be stopped."""


@dataclass(frozen=True)
class Plan:
    """A slot that is to be stopped, with its units on this host and the edge hosts to ask.

    `epoch` is the number of the change with which the public left the slot, `at` says (UTC) when it is to be stopped.
    """

    site: str
    slot: str
    epoch: int
    at: str
    units: Sequence[str]
    edges: Peers

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan's file; raises PlanError."""
        try:
            given = json.loads(text)
            peers = Peers(given["edges"], given["port"], given["public_name"], given["ca_file"])
            plan = cls(given["site"], given["slot"], given["epoch"], given["at"], given["units"], peers)
        except (ValueError, KeyError, TypeError) as error:
            raise PlanError(f"the plan can't be read: {error!r}") from error
        # Either would have something stopped that nobody has looked at.
        if plan.slot not in SLOTS or type(plan.epoch) is not int or not plan.edges.addresses:
            raise PlanError(f"the plan makes no sense: {text}")
        return plan


def objections(plan: Plan, states: Mapping[str, State], problems: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return why the slot must not be stopped any more, and why not now, a line for each edge host.

    An edge host that lags behind, as one that has just come back, is asked again: it catches up by itself.
    """
    never, not_now = [], []
    for address in plan.edges.addresses:
        state = states.get(address)
        if state is None:
            not_now.append(f"{address}: {problems.get(address, 'no slot is live there')}")
        elif state.epoch < plan.epoch:
            not_now.append(f"{address}: lags behind, at epoch {state.epoch}")
        elif state.epoch > plan.epoch or plan.slot in (state.live, state.candidate):
            never.append(f"{address}: there was a change since, {state.live} is live at epoch {state.epoch}")
    return never, not_now


def stop(plan: Plan, call: Callable[[list[str]], int]) -> tuple[int, str]:
    """Stop the slot if nobody is sent there any more; return the exit code, and what came of it as a line."""
    never, not_now = objections(plan, *switch_peers.states(plan.edges, plan.site, SECONDS))
    if never:
        return 0, f"not stopped: {'; '.join(never)}"
    if not_now:
        return AGAIN, f"not stopped yet, tried again every minute: {'; '.join(not_now)}"
    if plan.units and (code := call(["systemctl", "stop", *plan.units])):
        return AGAIN, f"systemctl stop failed ({code}), tried again every minute"
    return 0, "stopped"


def _call(command: list[str]) -> int:
    return subprocess.run(command, check=False).returncode


def main(plan_file: str, call: Callable[[list[str]], int] = _call) -> int:
    """Do what the plan says, and keep beside it what came of it; returns the exit code."""
    try:
        with open(plan_file, encoding="utf-8") as file:
            plan = Plan.from_json(file.read())
        code, says = stop(plan, call)
    except FileNotFoundError:
        print("no stop is planned")
        return 0
    except (OSError, PlanError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{plan.slot}: {says}", flush=True)
    result: dict[str, Any] = {"slot": plan.slot, "at": plan.at, "says": says}
    durable.write(os.path.join(os.path.dirname(plan_file), "result.fact"), f"{json.dumps(result)}\n".encode())
    return code
