# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The runs of an environment as a table, for operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from ...history import runs
from ...history.runs import Run
from ..common.ages import age


def all_runs(histories: Mapping[str, str], holders: Iterable[str]) -> list[Run]:
    """Return the runs in the histories of all hosts that keep one, the newest first.

    `histories` = {host: its text}, `holders` are the IDs of the runs that hold a lock now. A run that held the lock on
    several hosts appears once.
    """
    found = {run["id"]: run for text in histories.values() for run in runs.runs(text, holders)}
    return sorted(found.values(), key=lambda run: str(run["since"]), reverse=True)


def selected(found: Sequence[Run], actor: str, since: str, now: datetime) -> list[Run]:
    """Return the runs of an actor (part of user@host) from a time on; "" means all. Raises ValueError for no time."""
    first = _first(since, now) if since else ""
    return [run for run in found if actor in f"{run['user']}@{run['host']}" and str(run["since"]) >= first]


def lines(found: Sequence[Run], now: datetime) -> list[str]:
    """Return one line for each run: when, how it ended, how long it took, which playbook, who, what it did, and why."""
    rows = [
        [
            str(run["since"])[:16].replace("T", " "),
            run["result"],
            _seconds(run, now),
            run["playbook"],
            f"{run['user']}@{run['host']}",
            "; ".join(part for part in (runs.words(run), f"because: {run['reason']}" if run["reason"] else "") if part),
        ]
        for run in found
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(6)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def problems(histories: Mapping[str, str]) -> list[str]:
    """Return one line for each host with lines that were changed or removed."""
    wrong = {host: runs.changed_lines(text) for host, text in histories.items()}
    return [
        f"{host}: the history does not fit together at line {', '.join(map(str, numbers))}: "
        "lines were changed or removed there, or a crash has left one incomplete"
        for host, numbers in wrong.items()
        if numbers
    ]


def _seconds(run: Run, now: datetime) -> str:
    taken = runs.seconds(run, now)
    return "" if taken is None else f"{taken} s"


def _first(since: str, now: datetime) -> str:
    """Return the first time that counts, as in the history: of a date, a time, or an age such as `2h`."""
    if found := age(since.strip()):
        number, unit = found
        begin = now - timedelta(**{unit: number})
    else:
        try:
            begin = datetime.fromisoformat(since.strip())
        except ValueError:
            message = f'since: "{since}" is not a time; use 2h, 3d, 2026-01-31 or 2026-01-31T08:00'
            raise ValueError(message) from None
        # Times without a zone are in UTC, like those of the history.
        begin = begin if begin.tzinfo else begin.replace(tzinfo=UTC)
    return begin.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
