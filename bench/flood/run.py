# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures what a visitor notices while one source tries to hold very many connections to the edge.

    make bench-flood [ROUNDS=6]

One host of staging floods the shared address, another one is the visitor. In each round, the visitor sends the same
requests twice, once during the flood and once without it, in random order, so other work on the machine affects both.
Writes bench/flood/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.common import answer, machine, say, table, verdict
from bench.edge.run import quantile
from tests.real.environment import Environment

HERE = Path(__file__).resolve().parent
FOLDER = "/run/greenroom-flood-bench"
HOSTS = {"hold": "data1", "visit": "app1"}
"""The program that each host runs. The ops hosts have no limits."""
COUNT = 10_000
RATE = 1000
"""Connections that the flood tries to hold, and its attempts per second."""
REQUESTS = 1000
EVERY = 0.025
"""The visitor's requests per run, and seconds between them: less than half of the edge's limit for one address."""
LONGEST = 180
"""Seconds after which a flood ends by itself."""
PAUSE = 3
"""Seconds after a flood until the next run, in which the edge forgets its connections."""
AIM = 2
QUIET, FLOODED = "quiet", "flooded"
CONNECTIONS = ("kept", "new")
# keepalived tells each move of the shared address.
MOVES = "journalctl --quiet --unit=keepalived --since='@{began}' --output=cat | grep --count 'Entering .* STATE'; true"
README = """\
# A flood from one source

Goal: while one source tries to hold {count} connections, a visitor's p99 is within {aim} times that of the quiet runs
in between, no request fails, and the shared address stays where it is.

{result}

Verdict: {verdict}. The ratio is that of both p99, with its 95 % confidence interval (bootstrap over requests).

The flood made {tried} attempts, and the edge closed {closed}. It held {held} connections at most. {failures} of the
visitor's {asked} requests failed. The shared address moved {moves} times.

Measured on {machine}, with the lab's hosts on the same machine.
To repeat this, with staging converged (about {minutes:.0f} minutes):

    make bench-flood

One host opens up to {rate} connections a second to the shared address and sends nothing. What the edge closes, it opens
again. Another host requests the portal's /ping every {every} ms, in turn on a kept and on a new connection. A time
begins when the request is due.
"""


@dataclass
class Found:
    """Response times in microseconds, by state of the edge and kind of connection, and what else happened."""

    times: dict[str, dict[str, list[int]]] = field(
        default_factory=lambda: {state: {kind: [] for kind in CONNECTIONS} for state in (QUIET, FLOODED)}
    )
    failures: list[str] = field(default_factory=list)
    tried: int = 0
    closed: int = 0
    held: int = 0
    moves: int = 0

    @property
    def asked(self) -> int:
        """The number of requests that count."""
        return sum(len(times) for kinds in self.times.values() for times in kinds.values())

    def ratio(self, kind: str) -> float:
        """Return the ratio of the p99 during the flood to that without it."""
        return quantile(self.times[FLOODED][kind], 0.99) / quantile(self.times[QUIET][kind], 0.99)

    def interval(self, kind: str, times: int = 200) -> tuple[float, float]:
        """Return the 95 % confidence interval of the ratio (bootstrap)."""
        chance = random.Random(1)

        def drawn(state: str) -> int:
            values = self.times[state][kind]
            return quantile(chance.choices(values, k=len(values)), 0.99)

        found = [drawn(FLOODED) / drawn(QUIET) for _ in range(times)]
        return quantile(found, 0.025), quantile(found, 0.975)

    def met(self) -> bool:
        """Whether the goal was met, by a flood that was one."""
        whole = self.held > 0 and self.tried >= COUNT
        return whole and not (self.failures or self.moves) and all(self.ratio(kind) <= AIM for kind in CONNECTIONS)


def send(staging: Environment) -> None:
    """Send the programs to their hosts."""
    for program, host in HOSTS.items():
        text = (HERE / f"{program}.py").read_text()
        staging.ask(host, f"mkdir -p {FOLDER}; cat > {FOLDER}/{program}.py <<'END'\n{text}\nEND\n")


def remove(staging: Environment) -> None:
    """Remove the programs."""
    for host in HOSTS.values():
        staging.ask(host, f"rm -rf {FOLDER}", check=False)


def command(staging: Environment, program: str) -> list[str]:
    """Return the command that runs a program on its host."""
    return staging.ssh_command(HOSTS[program], f"sudo python3 -I {FOLDER}/{program}.py")


@contextlib.contextmanager
def flood(staging: Environment, found: Found) -> Iterator[None]:
    """Flood the shared address: begins once the flood has made all its connections, and ends it."""
    settings = {"address": staging.address, "port": 443, "source": "", "count": COUNT, "rate": RATE, "longest": LONGEST}
    process = subprocess.Popen(command(staging, "hold"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "holding\n":
            sys.exit("The flood did not begin.")
        yield
        output, _ = process.communicate(timeout=60)
        counts = json.loads(output)
        found.tried += counts["tried"]
        found.closed += counts["closed"]
        found.held = max(found.held, counts["held"])
    finally:
        # Without its input, it ends.
        process.kill()
        process.wait()


def visit(staging: Environment) -> dict[str, Any]:
    """Run the visitor."""
    settings = {
        "address": staging.address,
        "port": 443,
        "source": "",
        "name": staging.public_name,
        "ca": "/etc/greenroom/ca.crt",
        "authorization": staging.authorization(),
        "path": "/ping",
        "requests": REQUESTS,
        "every": EVERY,
    }
    # The flood ends by itself before the visitor's timeout.
    found: dict[str, Any] = answer(command(staging, "visit"), settings, "The visitor failed")
    return found


def one_run(staging: Environment, state: str, found: Found) -> None:
    """Let the visitor send its requests, during a flood or without one."""
    if state == FLOODED:
        with flood(staging, found):
            seen = visit(staging)
        time.sleep(PAUSE)
    else:
        seen = visit(staging)
    found.failures += [f"{state}: {why}" for why in seen["failures"]]
    for kind in CONNECTIONS:
        found.times[state][kind] += seen[kind]
    say(f"{state}: " + ", ".join(f"{kind} p99 {quantile(seen[kind], 0.99) / 1000:.1f} ms" for kind in CONNECTIONS))


def result(found: Found) -> str:
    """Return the table."""
    rows = []
    for kind in CONNECTIONS:
        low, high = found.interval(kind)
        ms = [
            f"{quantile(found.times[state][kind], share) / 1000:.2f} ms"
            for share in (0.5, 0.99)
            for state in (QUIET, FLOODED)
        ]
        count = str(len(found.times[QUIET][kind]))
        rows.append([kind, count, *ms, f"{found.ratio(kind):.2f} ({low:.2f} to {high:.2f})"])
    return table(
        ["connection", "requests each", "p50 quiet", "p50 flood", "p99 quiet", "p99 flood", "ratio of p99"], rows
    )


def write(found: Found, seconds: float) -> bool:
    """Write README.md, print its table, and return whether the goal was met."""
    met, shown = found.met(), result(found)
    print(shown)
    (HERE / "README.md").write_text(
        README.format(
            result=shown,
            verdict=verdict(met),
            machine=machine(),
            minutes=seconds / 60 + 1,
            count=COUNT,
            rate=RATE,
            every=int(EVERY * 1000),
            aim=AIM,
            tried=found.tried,
            closed=found.closed,
            held=found.held,
            failures=len(found.failures),
            asked=found.asked,
            moves=found.moves,
        )
    )
    return met


def main() -> None:
    """Run all rounds and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    began, moment = time.monotonic(), int(time.time())
    staging = Environment(say=say)
    found, chance = Found(), random.Random(1)
    holder = staging.active_edge()
    send(staging)
    try:
        for number in range(options.rounds):
            say(f"round {number + 1}")
            for state in chance.sample((QUIET, FLOODED), 2):
                one_run(staging, state, found)
    finally:
        remove(staging)
    moves = (staging.ask(edge, MOVES.format(began=moment)).stdout for edge in staging.edges)
    found.moves = sum(map(int, moves)) + (staging.active_edge() != holder)
    if not write(found, time.monotonic() - began):
        for failure in found.failures[:5]:
            print(failure)
        sys.exit("The goal was missed: see the table.")


if __name__ == "__main__":
    main()
