# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Counts the canary's wrong verdicts: good releases that it stops, and bad ones that it lets through.

    make bench-canary [ROUNDS=10]

Each release is simulated, rolled out and judged as in `simulate`; ROUNDS is the number of releases of each bad kind.
Writes bench/canary/README.md. The result is the same each time.
"""

from __future__ import annotations

import argparse
import random
import statistics
import zlib
from collections.abc import Sequence
from pathlib import Path

from bench.canary.releases import BAD, Good
from bench.canary.simulate import PROBE_RATE, SHARES, Outcome, Release, rollout
from bench.common import say, table

HERE = Path(__file__).resolve().parent
GOOD = 30
MINUTE, HOUR = 60.0, 3600.0
# Requests per second of public traffic, and the length of each step in seconds.
COLUMNS = ((0.1, MINUTE), (1.0, MINUTE), (10.0, MINUTE), (50.0, MINUTE), (0.1, HOUR), (1.0, HOUR))
SHOWN = (10.0, MINUTE)
README = """\
# Verdicts on candidates: false alarms and misses

Goal: the canary stops no good release and lets no bad one through, even with very little traffic.

**False alarms: {false} of {good}** rollouts of good releases. **Misses: {missed} of {bad}** rollouts of bad ones;
{why}

Stopped rollouts, by requests per second of public traffic and the length of each step:

{result}

No good release should be stopped, and every bad one should. The last column is for {shown:g} requests per second:
the median time from the start of the first step to the stop, and the median weight at which the release was stopped.
Faults that need hours to show (marked *) get steps of an hour in all columns.

To repeat this (about {minutes:.0f} minutes, needs no hosts):

    python -m bench.canary.run

Each rollout has weights of {shares} % (the last one is the time after the cutover), {probes:g} probes per second
to both slots together, and the defaults of all other options. The releases are simulated (`releases.py`), and so is
the clock. The verdict comes from the code that `roles/canary` uses. The good releases have the usual disturbances:
20 % faster or slower, cold caches, a pause of one host, a database that is down for a moment, a neighbor that uses the
processor, live slots with their own errors and slow requests. Smoke checks run at the start of each step, as
`canary_checks` sets.

Why some are missed: only public traffic shows that a third of all logins fail, or that orders are lost although
responses look good. At 0.1 requests per second, a rollout of four minutes has 24 requests. With little traffic, use
longer steps: the columns with an hour show the effect. Occasional slow requests differ from chance only after some
hundred requests to each slot.
"""


def score(kind: type[Release], rate: float, step: float, number: int) -> list[Outcome]:
    """Roll out `number` releases of a kind."""
    # Each rollout has its own seed, and the same one in each run of this program.
    seed = zlib.crc32(f"{kind.__name__} {rate} {step}".encode())
    return [
        rollout(kind(random.Random(seed + 2 * each)), rate, step, random.Random(seed + 2 * each + 1))
        for each in range(number)
    ]


def stopped(outcomes: Sequence[Outcome]) -> int:
    """Count the rollouts that the canary stopped."""
    return sum(outcome.verdict != "pass" for outcome in outcomes)


def found(outcomes: Sequence[Outcome]) -> str:
    """Format the median time and weight at which releases were stopped; empty if none was."""
    caught = [outcome for outcome in outcomes if outcome.verdict != "pass"]
    if not caught:
        return ""
    seconds = statistics.median_low([outcome.seconds for outcome in caught])
    share = statistics.median_low([outcome.share for outcome in caught])
    return f"{seconds:.0f} s, {'after the cutover' if share == SHARES[-1] else f'{share} %'}"


def main() -> None:
    """Score all kinds and write the table."""
    parser = argparse.ArgumentParser(description="counts wrong verdicts on simulated releases")
    parser.add_argument("--rounds", type=int, default=10, help="releases of each bad kind")
    rounds = parser.parse_args().rounds
    rows, totals = [], {"false": 0, "good": 0, "missed": 0, "bad": 0}
    few = 0
    kinds: tuple[type[Release], ...] = (Good, *BAD)
    for kind in kinds:
        cells, when = [], ""
        for rate, step in COLUMNS:
            outcomes = score(kind, rate, HOUR if kind.long else step, GOOD if kind is Good else rounds)
            number = stopped(outcomes)
            cells.append(f"{number} of {len(outcomes)}")
            totals["good" if kind is Good else "bad"] += len(outcomes)
            totals["false" if kind is Good else "missed"] += number if kind is Good else len(outcomes) - number
            few += 0 if kind is Good or rate > 1 else len(outcomes) - number
            if (rate, step) == SHOWN and kind is not Good:
                when = found(outcomes)
        rows.append(
            [f"{kind.kind if kind is not Good else '**good releases**'}{' *' if kind.long else ''}", *cells, when]
        )
        say(" | ".join(rows[-1]))
    head = [f"{rate:g}/s, {'an hour' if step == HOUR else 'a minute'}" for rate, step in COLUMNS]
    (HERE / "README.md").write_text(
        README.format(
            **totals,
            why=f"{few} of them at 1 request a second or less.",
            result=table(["release", *head, "stopped after"], rows),
            shown=SHOWN[0],
            shares=", ".join(map(str, SHARES)),
            probes=PROBE_RATE,
            minutes=4,
        )
    )


if __name__ == "__main__":
    main()
