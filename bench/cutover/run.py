# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures the commands that move public traffic on staging, on a good day and on a bad one.

    make bench-cutover [ROUNDS=5]

Both slots are up and warm. Meanwhile, a client requests /version ten times per second; public traffic has moved when
the first response names the other slot. Writes bench/cutover/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path

from bench.common import ROOT, machine, say, table, verdict
from tests.real.environment import Environment, until

HERE = Path(__file__).resolve().parent
# Seconds until public traffic has moved, and until the command has ended, where smoke checks run.
MOVED = 5
ENDED = 8
# The edge's own command, which moves traffic and does nothing else.
BACK = 1
# Gone on a bad day: Vault and the registry, the host with the lock, and one of two app hosts.
GONE = ("control1", "ops1", "app2")
LATEST = 10
"""How long to wait for public traffic and the edge hosts after the command has ended, in seconds."""
README = """\
# Cutover and rollback

Goal: public traffic has moved within {moved} s and the command has ended within {ended} s, smoke checks included, and
a rollback is no slower. `greenroom-edge back`, the command on an edge host, takes {back} s or less. Medians of {rounds}
rounds each.

{result}

A client sent {asked} requests meanwhile; {failures} responses were not 200.

A cutover checks the candidate from outside and inside before it moves any traffic. A rollback moves traffic to the
previous slot first, and then checks it with public requests. The rows without checks (`-e smoke_wanted=false`) show the
rest: Ansible, the start of the run (variables, lock, slots), background services that move along, and the switch
itself. That is some forty tasks, most of them a process on each of the hosts, which share this machine's cores.

On the bad day, these hosts are paused, so connections to them hang: {gone}. They are Vault and the
registry, the host that keeps the environment's lock, and one of two app hosts. The run waits
`environment_connect_seconds` for them, and later for Vault. Checks that need a secret are not done. The command on the
edge host needs no other host; its time includes the SSH connection.

Measured on {machine}, with the lab's hosts on the same machine. To repeat
this, with staging converged:

    make bench-cutover
"""
CHECKED, BAD_DAY, ON_THE_EDGE = "rollback.yml", "rollback.yml, bad day", "greenroom-edge back"
COMMANDS = {
    "cutover.yml": ("playbooks/cutover.yml",),
    CHECKED: ("playbooks/rollback.yml",),
    "cutover.yml, no checks": ("playbooks/cutover.yml", "-e", "smoke_wanted=false"),
    "rollback.yml, no checks": ("playbooks/rollback.yml", "-e", "smoke_wanted=false"),
}


@dataclass
class Move:
    """One command: seconds until public traffic moved, and until it ended; the client's requests and failures."""

    effect: float
    ended: float
    asked: int
    failures: int


def move(staging: Environment, command: Sequence[str]) -> Move:
    """Run a command that moves public traffic to the idle slot while a client sends requests. Exits if it fails."""
    wanted, effect, asked, failures = staging.idle(), 0.0, 0, 0
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ended = 0.0
    try:
        while not (effect and ended):
            try:
                status, headers, _ = staging.get("/version")
            except (OSError, HTTPException):
                status, headers = 0, {}
            asked += 1
            failures += status != 200
            now = time.monotonic() - started
            if headers.get("x-greenroom-slot") == wanted and not effect:
                effect = now
            if process.poll() is not None and not ended:
                ended = now
            if ended and now > ended + LATEST:
                break
            time.sleep(0.1)
    finally:
        output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{output}")
    # After `greenroom-edge back`, the other edge host follows within a second.
    until(lambda: staging.live() == wanted, LATEST, f"{wanted} is live on the edge hosts")
    return Move(effect, ended, asked, failures)


def good_day(staging: Environment, words: Sequence[str]) -> Move:
    """Measure a playbook with all hosts up."""
    arguments = ("-e", f"to={staging.idle()}") if "cutover" in words[0] else ()
    return move(staging, staging.command(*words, *arguments))


def bad_day(staging: Environment) -> Move:
    """Measure a rollback with hosts gone, then complete it on the hosts that were."""
    staging.go_back(staging.idle())
    # Until the edge hosts have noticed, requests to that app host fail.
    with contextlib.ExitStack() as hosts:
        hosts.enter_context(staging.gone(*GONE))
        until(lambda: "UP" not in staging.health("app2"), 60, "the edge hosts have noticed that app2 is gone")
        found = move(staging, staging.command("playbooks/rollback.yml"))
    staging.go_back(staging.live())
    return found


def on_the_edge(staging: Environment) -> Move:
    """Measure the command on the edge host that has the public address, then complete it from the controller."""
    staging.go_back(staging.idle())
    found = move(staging, staging.ssh_command(staging.active_edge(), "sudo greenroom-edge back"))
    staging.go_back(staging.live())
    return found


def main() -> None:
    """Run the benchmark and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    staging = Environment(say=say)
    # There must be a slot to cut over to.
    staging.offer()
    live = staging.live()
    cases: dict[str, Callable[[], Move]] = {name: partial(good_day, staging, COMMANDS[name]) for name in COMMANDS}
    cases |= {BAD_DAY: partial(bad_day, staging), ON_THE_EDGE: partial(on_the_edge, staging)}
    moves: dict[str, list[Move]] = {name: [] for name in cases}
    for number in range(rounds):
        for name, case in cases.items():
            moves[name].append(case())
            say(f"round {number + 1}, {name}: {moves[name][-1].effect:.1f} s, {moves[name][-1].ended:.1f} s")
    if staging.live() != live:
        staging.go_back(live)
    effect = {name: statistics.median(each.effect for each in found) for name, found in moves.items()}
    ended = {name: statistics.median(each.ended for each in found) for name, found in moves.items()}
    everything = [each for found in moves.values() for each in found]
    goals: dict[str, tuple[float, float | None]] = {BAD_DAY: (MOVED, None), ON_THE_EDGE: (BACK, BACK)}
    result = table(
        ["command", "until public traffic moved", "until the command ended", "goal"],
        (
            [
                f"`{name}`",
                f"{effect[name]:.1f} s",
                f"{ended[name]:.1f} s",
                goal(effect[name], ended[name], goals.get(name, (MOVED, ENDED))),
            ]
            for name in moves
        ),
    )
    print(result)
    (HERE / "README.md").write_text(
        README.format(
            moved=MOVED,
            ended=ENDED,
            back=BACK,
            gone=", ".join(GONE),
            rounds=rounds,
            result=result,
            asked=sum(each.asked for each in everything),
            failures=sum(each.failures for each in everything),
            machine=machine(),
        )
    )


def goal(moved: float, ended: float, most: tuple[float, float | None]) -> str:
    """Return the goal of a row, `most` seconds until moved and until ended (None: no goal), and whether it is met."""
    most_moved, most_ended = most
    met = moved <= most_moved and (most_ended is None or ended <= most_ended)
    return f"{most_moved} s{'' if most_ended is None else f' and {most_ended} s'}: {verdict(met)}"


if __name__ == "__main__":
    main()
