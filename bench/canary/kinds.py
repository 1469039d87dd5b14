# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""All kinds of simulated releases: those that must pass, and those that must not."""

from __future__ import annotations

from bench.canary import releases, unseen
from bench.canary.behaviour import Release

GOOD: tuple[type[Release], ...] = (releases.Identical, releases.Good)
BAD: tuple[type[Release], ...] = (
    releases.Errors,
    releases.Leak,
    releases.SlowTail,
    releases.OneRoute,
    releases.AfterTheCutOver,
    releases.Memory,
    releases.WrongVersion,
    releases.BrokenLogin,
    releases.SomeLogins,
    releases.NoOrders,
    releases.Slow,
    releases.CrashLoop,
    releases.Late,
    releases.Scanned,
    unseen.NoRoute,
    unseen.NoProbedRoute,
    unseen.Hangs,
    unseen.ProbedHangs,
    unseen.EndsEarly,
    unseen.ProbedEndsEarly,
    unseen.LogLost,
    unseen.NoPage,
    unseen.WorkerCrashes,
    unseen.ClockCrashes,
    unseen.LiveRestarts,
)
