# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Counts the canary's wrong verdicts: good releases that it stops, and bad ones that it lets through.

    make bench-canary [ROUNDS=20] [OPTIONS="--processes 1"]

Each release is simulated, rolled out and judged as in `simulate`; ROUNDS is the number of releases of each bad kind.
Writes bench/canary/README.md. The result is the same each time. If it is interrupted, it goes on where it was, unless
the code has changed. With --kinds, it rolls out these kinds only and writes no page.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from multiprocessing import Pool

from bench.canary import page
from bench.canary.kinds import BAD, GOOD
from bench.canary.plan import COLUMNS, Job, number_of, score
from bench.canary.results import Results
from bench.common import say

SECONDS = 30.0
"""How often to report progress."""


def run(jobs: Sequence[Job], results: Results, processes: int) -> None:
    """Roll out the releases that have no result yet. Reports progress, and each wrong verdict with its seed."""
    todo = [job for job in jobs if job not in results]
    say(f"{len(jobs)} rollouts, {len(jobs) - len(todo)} of them done earlier; results: {results.path}")
    for job in jobs:
        if job in results and results[job].wrong:
            say(results[job].told)
    reported = time.monotonic()
    with Pool(processes) as pool:
        for done, result in enumerate(pool.imap_unordered(score, todo), len(jobs) - len(todo) + 1):
            results.add(result)
            if result.wrong:
                say(result.told)
            left = [job for job in jobs if job.kind == result.job.kind and job not in results]
            if not left:
                say(page.line(page.row(result.job.kind, jobs, results)))
            if time.monotonic() - reported > SECONDS:
                reported = time.monotonic()
                say(f"{done} of {len(jobs)} rollouts, {results.minutes:.1f} minutes of processor time")
        pool.close()
        pool.join()


def main() -> None:
    """Score all kinds and write the table."""
    parser = argparse.ArgumentParser(description="counts wrong verdicts on simulated releases")
    parser.add_argument("--rounds", type=int, default=20, help="releases of each bad kind")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many run at the same time")
    parser.add_argument("--kinds", nargs="+", help="names of classes, such as Late")
    given = parser.parse_args()
    kinds = [kind for kind in (*GOOD, *BAD) if not given.kinds or kind.__name__ in given.kinds]
    jobs = [
        Job(kind.__name__, column, number)
        for kind in kinds
        for column in range(len(COLUMNS))
        for number in range(number_of(kind, COLUMNS[column], given.rounds))
    ]
    results = Results()
    say(page.line(page.HEAD))
    run(jobs, results, given.processes)
    if not given.kinds:
        page.write(jobs, results, given.processes)


if __name__ == "__main__":
    main()
