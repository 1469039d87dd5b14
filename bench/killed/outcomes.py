# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Results of killed runs (tests/real/test_release.py), kept part by part, and their page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.common import machine, table

PAGE = Path(__file__).resolve().parent / "README.md"
README = """\
# Killed runs

A release change ({tasks} tasks) is killed, with all of its processes, within one task of each of its plays. The next
run must leave the same files, modes, containers and units on every host as an uninterrupted run, in the same slot.
Meanwhile, a client sends several requests per second, and every response must be 200.

{table}

{count} runs were killed, at tasks chosen by the seed {seeds}. Measured on {machine}. To repeat this with a new seed:

    make proof-killed
"""


@dataclass(frozen=True)
class Row:
    """One killed run: the task's number, counted from 1, its play and name, and the result of the next run."""

    number: int
    play: str
    task: str
    outcome: str


@dataclass(frozen=True)
class Part:
    """Some of the killed runs, the seed that chose their tasks, and the number of tasks in a run."""

    seed: int
    tasks: int
    rows: Sequence[Row]


def keep(part: Part, number: int, parts: int, folder: Path) -> list[Part]:
    """Write part `number` of `parts`; return all parts once all are there, otherwise none."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "part.new"
    new.write_text(json.dumps(asdict(part)))
    new.rename(folder / f"part-{number}-of-{parts}.json")
    paths = [folder / f"part-{each + 1}-of-{parts}.json" for each in range(parts)]
    if not all(path.exists() for path in paths):
        return []
    kept = [json.loads(path.read_text()) for path in paths]
    return [Part(each["seed"], each["tasks"], [Row(**row) for row in each["rows"]]) for each in kept]


def write(parts: Sequence[Part], page: Path = PAGE) -> None:
    """Write the page of all killed runs."""
    rows = sorted((row for part in parts for row in part.rows), key=lambda row: row.number)
    cells = ((str(row.number), row.play, row.task, row.outcome) for row in rows)
    page.write_text(
        README.format(
            seeds=", ".join(str(part.seed) for part in parts),
            tasks=", ".join(map(str, sorted({part.tasks for part in parts}))),
            count=len(rows),
            table=table(("task", "play", "name", "result of the next run"), cells),
            machine=machine(),
        )
    )
