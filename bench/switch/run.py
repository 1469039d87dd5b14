# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures the switch with a real HAProxy, and kills HAProxy and the module at every moment of every change.

    make bench-switch        (or: python -m bench.switch.run [--switches 1000])

Times the switch from the module's lock to the last worker's reply, with one worker and with three (old ones that still
have connections), then runs the list of kills. Writes bench/switch/README.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from pathlib import Path

from bench.common import machine, say, table, verdict
from bench.switch import crash_list, inside

HERE = Path(__file__).resolve().parent
LIMIT = 5.0
README = """\
# The switch: duration, and state after a kill

One run, on {machine}, {day}.
The machine had other work, too (load average at the start: {load:.1f}). HAProxy is Debian 13's, with master and
workers. To repeat this:

    make bench-switch

## From the module's call until the last worker switched

{switches} switches in each row. A switch is the work of bluegreen_switch after reading its arguments: take the
lock, read disk and workers, decide, sync the state file to disk, write the map, set it in every worker and read it
back. After each switch, a new request reached the new slot. Times are in milliseconds; "disk" is the time for
state file and map file.

{times}

## Killed at every moment

`kill -9` ends the module at each moment of each change. Then the same call is repeated, or the watchdog runs after the
deadline; by then, the clock has been set an hour back. Also, HAProxy (master and workers) is killed during a call, and
starts as its unit starts it. After each kill, disk, map and workers have either the previous or the new value, and
status reports whether they agree. After the repeated call, all agree, and another one changes nothing.

Of two edge hosts, one dies while it commits: module and HAProxy at once. It comes back in reach of the other one, or
out of reach, or the one that has committed dies then, or the run has aborted meanwhile. No epoch ever has two meanings,
and both end with the highest epoch.

The disk of an edge host is full. The end of a canary reaches the workers all the same, and the disk later. A switch is
refused. If only the map can't be written, the switch takes effect, and is reported as a failure.

{kills}

The changes:

{changes}

The moments:

{moments}
"""


def percentile(times: list[float], share: float) -> float:
    """Return a percentile; `share` is 0.5 for the median."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def main() -> None:
    """Run the benchmark and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switches", type=int, default=1000)
    parser.add_argument("--folder", default="/var/tmp", help="where the state lies, on a real disk")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    rows = []
    met = True
    for workers in (1, 3):
        say(f"{given.switches} switches with {workers} worker(s)")
        found = json.loads(inside.run("measure", str(given.switches), str(workers), given.folder).splitlines()[-1])
        p99 = percentile(found["all"], 0.99)
        met = met and p99 <= LIMIT
        times = [percentile(found["all"], share) for share in (0.5, 0.9)] + [p99, max(found["all"])]
        disk = [percentile(found["disk"], share) for share in (0.5, 0.99)]
        rows.append([str(workers), *(f"{time:.2f}" for time in (*times, *disk)), f"{LIMIT:g}: {verdict(p99 <= LIMIT)}"])
    say("killing")
    kills = json.loads(inside.run("crash", "/tmp").splitlines()[-1])
    for failure in kills["failures"]:
        say(failure)
    good = not kills["failures"] and not kills["unserved"]
    head = ["workers", "median", "p90", "p99", "longest", "disk, median", "disk, p99", "goal for p99"]
    (HERE / "README.md").write_text(
        README.format(
            machine=machine(),
            day=datetime.datetime.now(datetime.UTC).date(),
            load=load,
            switches=given.switches,
            times=table(head, rows),
            kills=table(
                ["kills", "failures", "requests meanwhile", "of them failed", "goal"],
                [
                    [
                        *(str(kills["cases"]), str(len(kills["failures"])), str(kills["requests"])),
                        *(str(kills["unserved"]), f"none: {verdict(good)}"),
                    ]
                ],
            ),
            changes="\n".join(f"- {change}" for change in crash_list.CHANGES),
            moments="\n".join(f"- {moment}" for moment in crash_list.MOMENTS),
        )
    )
    sys.exit(0 if met and good else 1)


if __name__ == "__main__":
    main()
