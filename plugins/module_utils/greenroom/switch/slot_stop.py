# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-stop: the planned stop of the previous slot's services on an app host, some time after a cutover.

The run that planned the stop is over by then. So greenroom-stop asks every edge host first, and stops nothing unless
the cutover is still in effect on each of them. A run that needs the slot earlier cancels the stop (role slots).
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
from .slot_jobs import Run, run_command, running

SECONDS = 5.0
"""The timeout for all edge hosts together."""
AGAIN = 75
"""The exit code (EX_TEMPFAIL) after which systemd tries again, because an edge host didn't respond, for example."""

STOPPED = "stopped"
"""The result of a stop that is done."""


class PlanError(Exception):
    """The plan can't be read."""


@dataclass(frozen=True)
class Plan:
    """The planned stop of a slot, with its units on this host and the edge hosts to ask.

    `epoch` is the epoch of the cutover away from the slot, `at` the time of the stop (UTC), `jobs` the units of the
    slot's scheduled jobs.
    """

    site: str
    slot: str
    epoch: int
    at: str
    units: Sequence[str]
    edges: Peers
    jobs: Sequence[str] = ()

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan's file; raises PlanError."""
        try:
            given = json.loads(text)
            peers = Peers(given["edges"], given["port"], given["public_name"], given["ca_file"])
            own = {key: given[key] for key in ("site", "slot", "epoch", "at", "units")}
            # A plan of an earlier version names no jobs.
            plan = cls(**own, edges=peers, jobs=given.get("jobs", ()))
        except (ValueError, KeyError, TypeError) as error:
            raise PlanError(f"can't read the plan of the stop: {error!r}") from error
        # With a plan like this, the slot could stop without a check of the edge hosts.
        if plan.slot not in SLOTS or type(plan.epoch) is not int or not plan.edges.addresses:
            raise PlanError(f"the plan of the stop is invalid: {text}")
        return plan


def objections(plan: Plan, states: Mapping[str, State], problems: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return why the slot must not stop at all, and why it must not stop yet, one line for each edge host.

    An edge host with a lower epoch, such as one that has just come back, catches up by itself and is asked again.
    """
    never, not_now = [], []
    for address in plan.edges.addresses:
        state = states.get(address)
        if state is None:
            not_now.append(f"{address}: {problems.get(address, 'no slot is live there')}")
        elif state.epoch < plan.epoch:
            not_now.append(f"{address}: is behind, at epoch {state.epoch}")
        elif state.epoch > plan.epoch or plan.slot in (state.live, state.candidate):
            never.append(f"{address}: traffic was switched again, {state.live} is live at epoch {state.epoch}")
    return never, not_now


def stop(plan: Plan, call: Callable[[list[str]], int], run: Run) -> tuple[int, str]:
    """Stop the slot if no edge host sends requests there; return the exit code, and the result as a line."""
    never, not_now = objections(plan, *switch_peers.states(plan.edges, plan.site, SECONDS))
    if never:
        return 0, f"not stopped: {'; '.join(never)}"
    if not_now:
        return AGAIN, f"not stopped yet, retrying every minute: {'; '.join(not_now)}"
    # A job may call the services of its slot. systemd ends it after its timeout.
    if busy := running(plan.jobs, run):
        return AGAIN, f"not stopped yet, retrying every minute: {', '.join(busy)} still runs"
    if plan.units and (code := call(["systemctl", "stop", *plan.units])):
        return AGAIN, f"systemctl stop failed ({code}), retrying every minute"
    return 0, STOPPED


def _call(command: list[str]) -> int:
    return subprocess.run(command, check=False).returncode


def main(plan_file: str, call: Callable[[list[str]], int] = _call, run: Run = run_command) -> int:
    """Carry out the planned stop, and write the result beside the plan; returns the exit code."""
    try:
        with open(plan_file, encoding="utf-8") as file:
            plan = Plan.from_json(file.read())
        code, says = stop(plan, call, run)
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
