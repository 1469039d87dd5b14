# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The page of the bench, bench/canary/README.md, and the rows of its table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from bench.canary import clients
from bench.canary.kinds import GOOD
from bench.canary.plan import COLUMNS, KINDS, SHOWN, Job, Result
from bench.canary.releases import Late
from bench.canary.results import Results
from bench.canary.simulate import BAKE, PROBE_RATE, SHARES
from bench.common import machine, table
from plugins.module_utils.greenroom.canary.comparison import PUBLIC

HEAD = ("release", *(column.name for column in COLUMNS), "stopped after")
README = """\
# Verdicts on candidates: false alarms and misses

Goal: the canary stops no good release and lets no bad one through, even with very little traffic.

**False alarms: {false} of {good}** rollouts of good releases. **Misses: {missed} of {bad}** rollouts of bad ones;
{few} of them at 1 request a second or less.

Stopped rollouts, by requests per second of public traffic and the length of each step:

{result}

No good release (bold) should be stopped, and every bad one should. The last column is for {shown:g} requests per
second: the median time from the start of the first step to the stop, and the median weight at which the release was
stopped. Of the {late_all} releases whose every 40th request is late, {late} were stopped there at 50 % or before.
Faults that need hours to show (marked *) are rolled out with steps of an hour only.

To repeat this ({processor:.0f} minutes of processor time; {minutes:.0f} minutes on {machine}; needs no hosts):

    python -m bench.canary.run

It prints the seed of each wrong verdict. If you interrupt it, the next run continues from there.

Each rollout has weights of {shares} % (the last one is the bake, of {bake:.0f} minutes or as long as a step), or moves
all traffic at once and bakes. It has {probes:g} probes per second to both slots together, and the defaults of all other
options. Releases (`releases.py`, `unseen.py`), hosts (`edge.py`, `hosts.py`) and the clock are simulated. The code that
`roles/canary` uses reads the edge's log, its open requests, metrics pages and units, and gives the verdict. Probes are
not sent: `tests/unit/canary/test_canary_probe.py` shows what the prober makes of a response. The good releases have the
usual disturbances: 20 % faster or slower, cold caches, a pause of one host, a database that is down for a moment, a
neighbor that uses the processor, live slots with their own errors and slow requests. Smoke checks run at the start of
each step, as `canary_checks` sets.

The clients are simulated, too (`clients.py`). Each stays on its slot. They send 3 to 20 requests a minute on average,
and some of them many more than others. {broken} % of them are broken: they fail on any release and try again and again.
{slow} % are slow, {cookieless} % keep no cookies, and about half leave during the rollout and are replaced.

Why some are missed: a fault in what no probe and no smoke check uses shows only in public traffic. There, clients
count, not requests. At 10 requests a second, about fifteen clients log in during a minute; at 1 request a second, two
do. So have each route probed, which is the default (`canary: probes` in `service.yml`). With little traffic, use
longer steps: the column with an hour shows the effect. A metrics page doesn't say whose orders it counts, nor what it
counted before the switch. So to find lost orders, a canary and the most clients are needed.
"""


def row(kind: str, jobs: Sequence[Job], results: Results) -> list[str]:
    """Return the row of a kind, whose jobs are all done."""
    what = KINDS[kind]
    found = [results[job] for job in jobs if job.kind == kind]
    cells = []
    for number in range(len(COLUMNS)):
        own = [each for each in found if each.job.column == number]
        cells.append(f"{sum(each.stopped for each in own)} of {len(own)}" if own else "")
    name = f"**{what.kind}**" if what in GOOD else f"{what.kind}{' *' if what.long else ''}"
    shown = [each for each in found if COLUMNS[each.job.column] is SHOWN]
    return [name, *cells, "" if what in GOOD else _when(shown)]


def line(cells: Sequence[str]) -> str:
    """Return a row as text."""
    return f"| {' | '.join(cells)} |"


def _when(found: Sequence[Result]) -> str:
    """Return the median time and weight at which releases were stopped; empty if none was."""
    caught = [each.outcome for each in found if each.stopped]
    if not caught:
        return ""
    seconds = statistics.median_low([outcome.seconds for outcome in caught])
    share = statistics.median_low([outcome.share for outcome in caught])
    return f"{seconds:.0f} s, {'in the bake' if share == PUBLIC else f'{share} %'}"


def write(jobs: Sequence[Job], results: Results, processes: int) -> None:
    """Write the page."""
    found = [results[job] for job in jobs]
    good = [each for each in found if KINDS[each.job.kind] in GOOD]
    bad = [each for each in found if KINDS[each.job.kind] not in GOOD]
    missed = [each for each in bad if each.wrong]
    late = [each for each in bad if KINDS[each.job.kind] is Late and COLUMNS[each.job.column] is SHOWN]
    processor = sum(each.seconds for each in found) / 60
    text = README.format(
        false=sum(each.wrong for each in good),
        good=len(good),
        missed=len(missed),
        bad=len(bad),
        few=sum(COLUMNS[each.job.column].rate <= 1 for each in missed),
        result=table(HEAD, [row(kind, jobs, results) for kind in KINDS]),
        shown=SHOWN.rate,
        late_all=len(late),
        late=sum(each.stopped and each.outcome.share <= 50 for each in late),
        shares=", ".join(map(str, SHARES)),
        bake=BAKE / 60,
        probes=PROBE_RATE,
        broken=round(100 * clients.BROKEN),
        slow=round(100 * clients.SLOW),
        cookieless=round(100 * clients.COOKIELESS),
        processor=processor,
        minutes=processor / processes,
        machine=machine(),
    )
    (Path(__file__).resolve().parent / "README.md").write_text(text)
