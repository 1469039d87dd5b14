# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which tasks a run of Ansible had, how long each took and what came of it, told by callback events.

Output can't tell that: what is skipped may be hidden there, and a recap counts hosts times tasks. Needs only Python.
"""

from __future__ import annotations

import collections
import json
from dataclasses import dataclass, field
from pathlib import Path

CALLBACKS = Path(__file__).resolve().parent / "callbacks"
NAME = "task_log"


@dataclass
class Task:
    """A task of a run: one that was begun, also when every host skipped it.

    `began` is in seconds after the run's start, `seconds` lasts until the next task or play began.
    """

    play: str
    name: str
    began: float
    seconds: float = 0.0
    results: collections.Counter[str] = field(default_factory=collections.Counter)
    """Hosts by what came of it: ok, changed, skipped, failed, unreachable."""


def noted_in(log: Path) -> dict[str, str]:
    """Return the variables with which a process of Ansible notes its tasks in a file."""
    return {
        # Beside the project's own, which the variable would hide.
        "ANSIBLE_CALLBACK_PLUGINS": f"{CALLBACKS}:{CALLBACKS.parents[1] / 'plugins/callback'}",
        "ANSIBLE_CALLBACKS_ENABLED": NAME,
        "GREENROOM_TASK_LOG": str(log),
    }


def read(log: Path, started: float = 0.0) -> list[Task]:
    """Return what was noted, in order; `started` is when the run began, by time.monotonic().

    Nothing was noted: no tasks. A run that was killed has no end, and its last task takes 0 seconds.
    """
    found: list[Task] = []
    play, running = "", False
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        event = json.loads(line)
        at = event["at"] - started
        if event["event"] == "result":
            found[-1].results[event["status"]] += 1
            continue
        if running:
            found[-1].seconds = at - found[-1].began
        running = event["event"] == "task"
        if event["event"] == "play":
            play = event["name"]
        elif running:
            found.append(Task(play, event["name"], at))
    return found
