# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read the history of the runs: who started what, why, and how it ended.

Standard library only, because the status page reads it on its host.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Run = dict[str, Any]
"""A run: id, user, host (the controller), playbook, since (ISO time), until (ISO time or ""), reason, summary ({} if it
has none), task and hosts (where it failed), and its result:

`passed`, `failed`, `interrupted`, `running`, `crashed` (there is no end, and it no longer has the lock), `released` (it
started other runs, which have the lock), or `unknown` (it ended and told nothing).
"""

EMPTY: Run = {
    "user": "unknown",
    "host": "unknown",
    "playbook": "unknown",
    "since": "",
    "until": "",
    "reason": "",
    "result": "crashed",
    "summary": {},
    "task": "",
    "hosts": [],
}


def entries(text: str) -> list[dict[str, Any]]:
    """Return the events in a history, the oldest first, without lines that a crash left incomplete."""
    found = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "id" in entry:
            found.append(entry)
    return found


def runs(text: str, holders: Iterable[str] = ()) -> list[Run]:
    """Return the runs in a history, the newest first. `holders` are the IDs of the runs that hold a lock now."""
    found: dict[str, Run] = {}
    for entry in entries(text):
        run = found.setdefault(str(entry["id"]), dict(EMPTY, id=str(entry["id"])))
        known = {key: value for key, value in entry.items() if key in EMPTY}
        if entry.get("event") == "ended":
            known["until"] = entry.get("at", "")
        run.update(known)
    for name in holders:
        if name in found and not found[name]["until"]:
            found[name]["result"] = "running"
    return sorted(found.values(), key=lambda run: str(run["since"]), reverse=True)


def changed_lines(text: str) -> list[int]:
    """Return the numbers, from 1, of the lines that don't fit the line before them: one of the two was changed.

    The first line fits: its predecessor may be in a file that is no longer kept.
    """
    lines = text.encode().splitlines(keepends=True)
    wrong = []
    for number, (before, line) in enumerate(itertools.pairwise(lines), start=2):
        try:
            previous = json.loads(line).get("previous")
        except (ValueError, AttributeError):
            previous = None
        # After a crash, the line before has got its line break later.
        if previous not in (hashlib.sha256(before).hexdigest(), hashlib.sha256(before.rstrip(b"\n")).hexdigest()):
            wrong.append(number)
    return wrong


def seconds(run: Mapping[str, Any], now: datetime) -> int | None:
    """Return how long a run took, or has taken until `now`; None if that is unknown."""
    end = run["until"] or (now.strftime("%Y-%m-%dT%H:%M:%SZ") if run["result"] == "running" else "")
    if not end or not run["since"]:
        return None
    return round((_time(end) - _time(run["since"])).total_seconds())


def words(run: Mapping[str, Any]) -> str:
    """Return what a run did, or where it failed, in one line; "" if that is unknown."""
    if run["result"] == "failed":
        where = f" on {', '.join(run['hosts'])}" if run["hosts"] else ""
        return f"{run['task'] or 'unknown task'}{where}"
    summary = run["summary"]
    parts = []
    if summary.get("deployed", "nothing") != "nothing":
        parts.append(f"deployed {summary['deployed']}")
    if summary.get("cut over", "no") != "no":
        parts.append(f"cut over {summary['cut over']}")
    if not parts and summary:
        parts.append(f"live: {summary.get('live slot', 'none')}")
    return "; ".join(parts)


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
