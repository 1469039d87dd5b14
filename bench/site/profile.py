# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The section of bench/site/README.md that shows where the time of a run goes."""

from __future__ import annotations

import collections
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.common import Run, table
from bench.tasks import Task

HEAD = "## Where the time goes"
LONGEST = 20
"""Number of tasks to list."""
TEXT = """\
{head}

One `site.yml` that changed nothing, {seconds:.1f} s of wall-clock time. A task lasts until the next one starts.

{plays}

The longest tasks:

{tasks}

To repeat only this part (about a minute):

    make bench-site OPTIONS=--profile
"""


def section(runs: Sequence[Run]) -> str:
    """Return the section for the run with the median time. Exits if that run logged no task."""
    run = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
    if not run.tasks:
        sys.exit(f"The run logged no tasks:\n{run.output}")
    plays: dict[str, list[Task]] = {}
    for task in run.tasks:
        plays.setdefault(task.play, []).append(task)
    start, work = run.tasks[0].began, sum(task.seconds for task in run.tasks)
    parts = [("before the first task: Python, Ansible, inventory, playbooks", "", "", start)]
    for play, tasks in plays.items():
        skipped = sum(set(task.results) <= {"skipped"} for task in tasks)
        parts.append((play, str(len(tasks)), str(skipped), sum(task.seconds for task in tasks)))
    parts.append(("between plays, and after the last task", "", "", run.seconds - start - work))
    longest = sorted(run.tasks, key=lambda task: -task.seconds)
    rest = longest[LONGEST:]
    rows = [(task.play, task.name, results(task.results), f"{task.seconds:.2f} s") for task in longest[:LONGEST]]
    if rest:
        rows.append((f"the other {len(rest)}", "", "", f"{sum(task.seconds for task in rest):.2f} s"))
    return TEXT.format(
        head=HEAD,
        seconds=run.seconds,
        plays=table(
            ["play", "tasks", "skipped on all hosts", "time", "of all"],
            ([*cells, f"{seconds:.2f} s", f"{seconds / run.seconds:.0%}"] for *cells, seconds in parts),
        ),
        tasks=table(["play", "task", "hosts", "time"], rows),
    )


def results(counted: collections.Counter[str]) -> str:
    """Format a task's results: the number of hosts for each status."""
    return ", ".join(f"{count} {status}" for status, count in sorted(counted.items()))


def write(runs: Sequence[Run], page: Path) -> None:
    """Replace that section of the page, and print it."""
    text = section(runs)
    print(text)
    kept = page.read_text().partition(HEAD)[0] if page.exists() else ""
    page.write_text(f"{kept.rstrip()}\n\n{text}".lstrip())
