# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-job: starts a scheduled job in the live slot, or waits with `wait <slot>` until a slot's jobs have ended.

Each job has one timer on one host, which belongs to no slot. So a cutover neither loses a tick nor repeats it: each
tick asks the edge hosts once which slot is live, and starts the job there. The timer's unit runs as long as the job,
so that a job never runs twice at once.

A job that runs when traffic leaves its slot runs on, to its end. A slot's containers stop when its jobs have ended.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from .bluegreen import other
from .slot_live import AGAIN, ConfigurationError, Host, live_slot

Run = Callable[[Sequence[str]], tuple[int, str]]

UNANSWERED_SECONDS = 600.0
"""How long a tick asks if no edge host answers. Then the job has failed, and the alert says so."""
TRY_SECONDS = 20.0
"""How long one `wait` waits. A run asks again, so that it shows that it waits."""
POLL_SECONDS = 1.0
BUSY = 75
"""The exit code (EX_TEMPFAIL) of `wait` if jobs are still running."""
RUNNING = {"activating", "active", "deactivating", "reloading"}
_STEM = re.compile(r"[a-z][a-z0-9-]*")


def unit_of(stem: str, slot: str) -> str:
    """Return the unit of a job in a slot; `stem` is the name of its containers without the slot."""
    return f"{stem}-{slot}.service"


def running(units: Iterable[str], run: Run) -> list[str]:
    """Return which of these units run."""
    names = list(units)
    if not names:
        return []
    _, output = run(["systemctl", "show", "--property=Id", "--property=ActiveState", *names])
    found = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in output.split("\n\n")]
    return [unit["Id"] for unit in found if unit.get("ActiveState") in RUNNING]


def tick(host: Host, stem: str, run: Run, sleep: Callable[[float], None]) -> int:
    """Start a job in the live slot and wait for its end; returns the exit code."""
    waited = 0.0
    while (slot := live_slot(host)) is None:
        if waited >= UNANSWERED_SECONDS:
            print(f"no edge host answered for {UNANSWERED_SECONDS:.0f} s, so {stem} did not run", file=sys.stderr)
            return 1
        if not waited:
            print("no edge host answers, so nothing is started yet; asking again", flush=True)
        sleep(AGAIN)
        waited += AGAIN
    if not slot or stem not in host.jobs(slot):
        print(f"nothing to do: {f'{slot} is live and does not run {stem} here' if slot else 'no slot is live'}")
        return 0
    # An operator may have started it by hand in the other slot.
    while before := running([unit_of(stem, other(slot))], run):
        print(f"waiting until {before[0]} has ended", flush=True)
        sleep(AGAIN)
    unit = unit_of(stem, slot)
    print(f"{slot} is live; starting {unit}", flush=True)
    code, _ = run(["systemctl", "start", unit])
    if code:
        print(f"{unit} failed; journalctl -u {unit} says why", file=sys.stderr)
    return code


def wait(host: Host, slot: str, run: Run, sleep: Callable[[float], None]) -> int:
    """Wait a while until no job of a slot runs on this host; returns 0, or BUSY, with the jobs that still run."""
    waited = 0.0
    units = [unit_of(stem, slot) for stem in host.jobs(slot)]
    while busy := running(units, run):
        if waited >= TRY_SECONDS:
            print(", ".join(busy))
            return BUSY
        sleep(POLL_SECONDS)
        waited += POLL_SECONDS
    return 0


def run_command(command: Sequence[str]) -> tuple[int, str]:
    """Run a command; return its exit code and output."""
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout


def main(
    configuration: str, arguments: Sequence[str], run: Run = run_command, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Carry out `<job>` or `wait <slot>`; returns the exit code."""
    try:
        host = Host.from_file(configuration)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments and arguments[0] == "wait":
        return wait(host, arguments[1], run, sleep)
    if len(arguments) != 1 or not _STEM.fullmatch(arguments[0]):
        print("usage: greenroom-job JOB, or greenroom-job wait blue|green", file=sys.stderr)
        return 2
    return tick(host, arguments[0], run, sleep)
