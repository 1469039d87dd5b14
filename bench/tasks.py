# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The tasks of an Ansible run, with duration and results of each, from the callback's log.

The output isn't enough: it may hide skipped tasks, and the recap counts hosts times tasks. Needs only Python.
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
    """A started task of a run, even if every host skipped it.

    `began` is in seconds after the run's start. `seconds` is the time until the next task or play started.
    """

    play: str
    name: str
    began: float
    seconds: float = 0.0
    results: collections.Counter[str] = field(default_factory=collections.Counter)
    """Number of hosts by result: ok, changed, skipped, failed, unreachable."""


def noted_in(log: Path) -> dict[str, str]:
    """Return the environment variables that make Ansible log its tasks to a file."""
    return {
        # The variable replaces the project's own setting, so it must include that folder, too.
        "ANSIBLE_CALLBACK_PLUGINS": f"{CALLBACKS}:{CALLBACKS.parents[1] / 'plugins/callback'}",
        "ANSIBLE_CALLBACKS_ENABLED": NAME,
        "GREENROOM_TASK_LOG": str(log),
    }


def read(log: Path, started: float = 0.0) -> list[Task]:
    """Return the logged tasks in order; `started` is the start of the run, by time.monotonic().

    Without a log there are no tasks. The log of a killed run has no end, and its last task takes 0 seconds.
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
