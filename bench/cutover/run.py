# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures two commands on staging: a cutover to the idle slot, and a rollback.

    make bench-cutover [ROUNDS=5]

Both slots are up and warm. Meanwhile, a client requests /version ten times per second; public traffic has moved when
the first response names the other slot. Writes bench/cutover/README.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from bench.common import ROOT, machine, say, table, verdict
from tests.real.environment import Environment

HERE = Path(__file__).resolve().parent
# Seconds until public traffic has moved, and until the command has ended, where smoke checks run.
MOVED = 5
ENDED = 7
README = """\
# Cutover and rollback

Goal: public traffic has moved within {moved} s and the command has ended within {ended} s, smoke checks included, and
a rollback is no slower. Medians of {rounds} rounds each.

{result}

A client sent {asked} requests meanwhile; {failures} responses were not 200.

A cutover checks the candidate from outside and inside before it moves any traffic. A rollback moves traffic to the
previous slot first, and then checks it with public requests. The rows without checks (`-e smoke_wanted=false`) show the
rest: Ansible, the start of the run (variables, secrets, images, lock, slots), background services that move along, and
the switch itself. That is some forty tasks, most of them a process on each of the hosts, which share this machine's
cores.

Measured on {machine}, with the lab's hosts on the same machine. To repeat
this, with staging converged:

    make bench-cutover
"""
COMMANDS = {
    "cutover.yml": ("playbooks/cutover.yml",),
    "rollback.yml": ("playbooks/rollback.yml",),
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


def move(staging: Environment, *words: str) -> Move:
    """Run a command that moves public traffic to the idle slot while a client sends requests. Exits if it fails."""
    wanted, effect, asked, failures = staging.idle(), 0.0, 0, 0
    arguments = ("-e", f"to={wanted}") if "cutover" in words[0] else ()
    started = time.monotonic()
    process = subprocess.Popen(
        staging.command(*words, *arguments),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while process.poll() is None:
            try:
                status, headers, _ = staging.get("/version")
            except (OSError, HTTPException):
                status, headers = 0, {}
            asked += 1
            failures += status != 200
            if headers.get("x-greenroom-slot") == wanted and not effect:
                effect = time.monotonic() - started
            time.sleep(0.1)
    finally:
        output, _ = process.communicate()
    if process.returncode or staging.live() != wanted:
        sys.exit(f"{' '.join(words)} failed:\n{output}")
    return Move(effect, time.monotonic() - started, asked, failures)


def main() -> None:
    """Run the benchmark and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    staging = Environment(say=say)
    # There must be a slot to cut over to.
    staging.offer()
    live = staging.live()
    moves: dict[str, list[Move]] = {name: [] for name in COMMANDS}
    for number in range(rounds):
        for name, words in COMMANDS.items():
            moves[name].append(move(staging, *words))
            say(f"round {number + 1}, {name}: {moves[name][-1].ended:.1f} s")
    if staging.live() != live:
        staging.go_back(live)
    effect = {name: statistics.median(each.effect for each in found) for name, found in moves.items()}
    ended = {name: statistics.median(each.ended for each in found) for name, found in moves.items()}
    everything = [each for found in moves.values() for each in found]
    result = table(
        ["command", "until public traffic moved", "until the command ended", f"{MOVED} s and {ENDED} s or less"],
        (
            [
                f"`{name}`",
                f"{effect[name]:.1f} s",
                f"{ended[name]:.1f} s",
                verdict(effect[name] <= MOVED and ended[name] <= ENDED),
            ]
            for name in moves
        ),
    )
    print(result)
    (HERE / "README.md").write_text(
        README.format(
            moved=MOVED,
            ended=ENDED,
            rounds=rounds,
            result=result,
            asked=sum(each.asked for each in everything),
            failures=sum(each.failures for each in everything),
            machine=machine(),
        )
    )


if __name__ == "__main__":
    main()
