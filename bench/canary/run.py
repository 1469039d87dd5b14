# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Scores the verdict on candidates: good releases that it stops, bad ones that it lets through.

    make bench-canary [ROUNDS=10]

Each release is invented, rolled out and judged as in `simulate`; ROUNDS is how many there are of each bad kind. Writes
bench/canary/README.md. The same numbers come out each time.
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
# Requests a second of the public, and how long each step is watched.
COLUMNS = ((0.1, MINUTE), (1.0, MINUTE), (10.0, MINUTE), (50.0, MINUTE), (0.1, HOUR), (1.0, HOUR))
SHOWN = (10.0, MINUTE)
README = """\
# Verdicts on candidates: false alarms and misses

Wanted: no good release is stopped, no bad one gets through, also where hardly anybody comes.

**False alarms: {false} of {good}** rollouts of good releases. **Misses: {missed} of {bad}** rollouts of bad ones;
{why}

Stopped of all, by requests a second of the public and the time for which each share is watched:

{result}

Good releases must not be stopped; of bad ones all should. The last column: how long after the first share of the
public, and at which share, half of the caught ones had been stopped at {shown:g} requests a second. What needs
hours to show (marked *) is rolled out with an hour for each share in all columns.

Again, in about {minutes:.0f} minutes, without any host:

    python -m bench.canary.run

Rolled out is with {shares} % of the public (the last one is the time after the cut-over), {probes:g} own requests a
second to both slots together, and the options' defaults otherwise. The releases are invented (`releases.py`), with
a clock that does not wait; the verdict is the one that `roles/canary` asks. The good ones have what good releases
have: 20 % faster or slower, cold caches, a pause of one host, a database that is away for a moment, a neighbour
that takes the processor, live slots with errors and slow requests of their own. Smoke checks run at the begin of
each step, as `canary_journeys` says.

What is missed, and why: a third of all logins that fail, or orders that are lost behind good answers, are seen by
nobody but the public, and at 0.1 requests a second a rollout of four minutes meets 24 requests. Watch longer where
few come: the columns with an hour say what that brings. What is only slow at times is told from chance by some
hundred requests of each slot.
"""


def score(kind: type[Release], rate: float, step: float, number: int) -> list[Outcome]:
    """Roll out `number` releases of a kind."""
    # Another chance for each, and the same one at each run.
    seed = zlib.crc32(f"{kind.__name__} {rate} {step}".encode())
    return [
        rollout(kind(random.Random(seed + 2 * each)), rate, step, random.Random(seed + 2 * each + 1))
        for each in range(number)
    ]


def stopped(outcomes: Sequence[Outcome]) -> int:
    """Return how many rollouts did not reach their end."""
    return sum(outcome.verdict != "pass" for outcome in outcomes)


def found(outcomes: Sequence[Outcome]) -> str:
    """Say when the caught ones were caught."""
    caught = [outcome for outcome in outcomes if outcome.verdict != "pass"]
    if not caught:
        return ""
    seconds = statistics.median_low([outcome.seconds for outcome in caught])
    share = statistics.median_low([outcome.share for outcome in caught])
    return f"{seconds:.0f} s, {'after the cut-over' if share == SHARES[-1] else f'{share} %'}"


def main() -> None:
    """Score all kinds and write the table."""
    parser = argparse.ArgumentParser(description="scores verdicts on invented releases")
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
