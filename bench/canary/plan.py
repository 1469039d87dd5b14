# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which simulated releases are rolled out, how often, and with how much traffic; and one such rollout."""

from __future__ import annotations

import random
import time
import zlib
from dataclasses import dataclass

from bench.canary.behaviour import Release
from bench.canary.kinds import BAD, GOOD
from bench.canary.releases import Good, Identical, Late
from bench.canary.simulate import SHARES, Outcome, rollout
from plugins.module_utils.greenroom.canary.comparison import PUBLIC

MINUTE, HOUR = 60.0, 3600.0
KINDS = {kind.__name__: kind for kind in (*GOOD, *BAD)}


@dataclass(frozen=True)
class Column:
    """Requests per second of public traffic, the length of each step, its weights.

    `identical` and `good` are the numbers of releases of these kinds. `fewer` divides that of bad releases, where a
    rollout takes long to simulate.
    """

    rate: float
    step: float
    identical: int
    good: int
    shares: tuple[int, ...] = SHARES
    fewer: int = 1

    @property
    def name(self) -> str:
        """The head of the column."""
        how = "all at once" if self.shares == (PUBLIC,) else "an hour" if self.step == HOUR else "a minute"
        return f"{self.rate:g}/s, {how}"


COLUMNS = (
    Column(0.1, MINUTE, 20, 20),
    Column(1, MINUTE, 200, 60),
    Column(10, MINUTE, 200, 60),
    Column(50, MINUTE, 200, 30, fewer=2),
    Column(10, MINUTE, 20, 20, shares=(PUBLIC,)),
    Column(1, HOUR, 5, 5, fewer=10),
)
SHOWN = COLUMNS[2]


@dataclass(frozen=True)
class Job:
    """One rollout: the name of its kind, the number of its column, and the release's number."""

    kind: str
    column: int
    number: int

    @property
    def seed(self) -> int:
        """The seed of the release; that of everything else is one more."""
        column = COLUMNS[self.column]
        return zlib.crc32(f"{self.kind} {column.rate} {column.step} {column.shares}".encode()) + 2 * self.number


@dataclass(frozen=True)
class Result:
    """The end of a rollout, and how many seconds of processor time it took."""

    job: Job
    outcome: Outcome
    seconds: float

    @property
    def stopped(self) -> bool:
        """Whether the canary stopped the release."""
        return self.outcome.verdict != "pass"

    @property
    def wrong(self) -> bool:
        """Whether it should not have stopped it, or should have."""
        return self.stopped == (KINDS[self.job.kind] in GOOD)

    @property
    def told(self) -> str:
        """A line about a wrong verdict."""
        what = "false alarm" if self.stopped else "miss"
        return (
            f"{what}: {self.job.kind}, {COLUMNS[self.job.column].name}, number {self.job.number}, "
            f"seed {self.job.seed}: {self.outcome.line}"
        )


def score(job: Job) -> Result:
    """Roll out a release."""
    column, began = COLUMNS[job.column], time.process_time()
    release = KINDS[job.kind](random.Random(job.seed))
    outcome = rollout(release, column.rate, column.step, random.Random(job.seed + 1), column.shares)
    return Result(job, outcome, time.process_time() - began)


def number_of(kind: type[Release], column: Column, rounds: int) -> int:
    """Return how many releases of a kind are rolled out in a column."""
    if kind is Identical:
        return column.identical
    if kind is Good:
        return column.good
    if kind.long and column.step != HOUR:
        return 0
    number = 3 * rounds if kind is Late and column is SHOWN else rounds
    return max(1, number // (1 if kind.long else column.fewer))
