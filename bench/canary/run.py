# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Counts the canary's wrong verdicts: good releases that it stops, and bad ones that it lets through.

    make bench-canary [ROUNDS=10]

Each release is simulated, rolled out and judged as in `simulate`; ROUNDS is the number of releases of each bad kind.
Writes bench/canary/README.md. The result is the same each time.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

from bench.canary import clients
from bench.canary.releases import BAD, Good, Late
from bench.canary.simulate import PROBE_RATE, SHARES, Outcome, Release, rollout
from bench.common import machine, say, table
from plugins.module_utils.greenroom.canary.comparison import PUBLIC

HERE = Path(__file__).resolve().parent
MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True)
class Column:
    """Requests per second of public traffic, the length of each step, its weights, and how many good releases."""

    rate: float
    step: float
    good: int
    shares: tuple[int, ...] = SHARES
    fewer: int = 1
    """Divides the number of bad releases, where a rollout takes long to simulate."""

    @property
    def name(self) -> str:
        """The head of the column."""
        how = "all at once" if self.shares == (PUBLIC,) else "an hour" if self.step == HOUR else "a minute"
        return f"{self.rate:g}/s, {how}"


BAKE = 300.0
COLUMNS = (
    Column(0.1, MINUTE, 60),
    Column(1, MINUTE, 600),
    Column(10, MINUTE, 600),
    Column(50, MINUTE, 600),
    Column(200, MINUTE, 60, fewer=2),
    Column(10, BAKE, 60, shares=(PUBLIC,)),
    Column(0.1, HOUR, 20, fewer=2),
    Column(1, HOUR, 20, fewer=2),
)
SHOWN = COLUMNS[2]
LATE = 60
"""How many releases of the kind `Late` are rolled out in the column `SHOWN`."""
README = """\
# Verdicts on candidates: false alarms and misses

Goal: the canary stops no good release and lets no bad one through, even with very little traffic.

**False alarms: {false} of {good}** rollouts of good releases. **Misses: {missed} of {bad}** rollouts of bad ones;
{few} of them at 1 request a second or less.

Stopped rollouts, by requests per second of public traffic and the length of each step:

{result}

No good release should be stopped, and every bad one should. The last column is for {shown:g} requests per second:
the median time from the start of the first step to the stop, and the median weight at which the release was stopped.
Of the {late_all} releases whose every 40th request is late, {late} were stopped there at 50 % or before. Faults that
need hours to show (marked *) are rolled out with steps of an hour only.

To repeat this ({processor:.0f} minutes of processor time; {minutes:.0f} minutes on {machine}; needs no hosts):

    python -m bench.canary.run

Each rollout has weights of {shares} % (the last one is the time after the cutover), or moves all traffic at once and
bakes for five minutes. It has {probes:g} probes per second to both slots together, and the defaults of all other
options. The releases are simulated (`releases.py`), and so is the clock. Log lines are read and the verdict is given by
the code that `roles/canary` uses. The good releases have the usual disturbances: 20 % faster or slower, cold caches, a
pause of one host, a database that is down for a moment, a neighbor that uses the processor, live slots with their own
errors and slow requests. Smoke checks run at the start of each step, as `canary_checks` sets.

The clients are simulated, too (`clients.py`). Each stays on its slot. They send 3 to 20 requests a minute on average,
and some of them many more than others. {broken} % of them are broken: they fail on any release and try again and again.
{slow} % are slow, {cookieless} % keep no cookies, and about half leave during the rollout and are replaced.

Why some are missed: only public traffic shows that a third of all logins fail, that orders are lost although responses
look good, or that no order succeeds. What counts are clients, not requests: at 10 requests a second, about fifteen of
them log in during a minute, at 0.1 none. With little traffic, use longer steps: the columns with an hour show the
effect.
"""


def score(kind: type[Release], column: Column, number: int) -> Outcome:
    """Roll out a release of a kind, the same one for the same `number`."""
    seed = zlib.crc32(f"{kind.__name__} {column.rate} {column.step} {column.shares}".encode()) + 2 * number
    return rollout(kind(random.Random(seed)), column.rate, column.step, random.Random(seed + 1), column.shares)


def releases(kind: type[Release], column: Column, rounds: int) -> int:
    """Return how many releases of a kind are rolled out in a column."""
    if kind is Good:
        return column.good
    if kind.long and column.step != HOUR:
        return 0
    return LATE if kind is Late and column is SHOWN else max(1, rounds // column.fewer)


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
    return f"{seconds:.0f} s, {'after the cutover' if share == PUBLIC else f'{share} %'}"


def main() -> None:
    """Score all kinds and write the table."""
    parser = argparse.ArgumentParser(description="counts wrong verdicts on simulated releases")
    parser.add_argument("--rounds", type=int, default=10, help="releases of each bad kind")
    rounds = parser.parse_args().rounds
    rows, totals = [], {"false": 0, "good": 0, "missed": 0, "bad": 0, "few": 0, "late": 0}
    kinds: tuple[type[Release], ...] = (Good, *BAD)
    with Pool(os.cpu_count()) as pool:
        for kind in kinds:
            cells, when = [], ""
            for column in COLUMNS:
                number = releases(kind, column, rounds)
                outcomes = pool.starmap(score, [(kind, column, each) for each in range(number)], chunksize=1)
                caught = stopped(outcomes)
                cells.append(f"{caught} of {number}" if number else "")
                totals["good" if kind is Good else "bad"] += number
                totals["false" if kind is Good else "missed"] += caught if kind is Good else number - caught
                totals["few"] += 0 if kind is Good or column.rate > 1 else number - caught
                if column is SHOWN and kind is not Good:
                    when = found(outcomes)
                if column is SHOWN and kind is Late:
                    totals["late"] = stopped([each for each in outcomes if each.share <= 50])
            name = kind.kind if kind is not Good else "**good releases**"
            rows.append([f"{name}{' *' if kind.long else ''}", *cells, when])
            say(" | ".join(rows[-1]))
        pool.close()
        pool.join()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = (spent.ru_utime + spent.ru_stime) / 60
    (HERE / "README.md").write_text(
        README.format(
            **totals,
            late_all=LATE,
            result=table(["release", *(column.name for column in COLUMNS), "stopped after"], rows),
            shown=SHOWN.rate,
            shares=", ".join(map(str, SHARES)),
            probes=PROBE_RATE,
            broken=round(100 * clients.BROKEN),
            slow=round(100 * clients.SLOW),
            cookieless=round(100 * clients.COOKIELESS),
            processor=processor,
            minutes=processor / (os.cpu_count() or 1),
            machine=machine(),
        )
    )


if __name__ == "__main__":
    main()
