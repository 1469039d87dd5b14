# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Callback that logs plays, tasks and results with their times, one JSON object per line, for `bench/tasks.py`."""

from __future__ import annotations

import json
import os
import time
from typing import IO, Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_log
type: aggregate
short_description: Logs each play, task and result with its time
description:
  - Logs each play, task and result with its time, for benchmarks and tests.
  - E(GREENROOM_TASK_LOG) names the file. Without it, the callback logs nothing.
author: Greenroom developers
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Appends {event, at, ...}; `at` is the machine's monotonic clock, in seconds."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_log"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        path = os.environ.get("GREENROOM_TASK_LOG")
        # Line by line, so that the log of a killed run is complete.
        self._file: IO[str] | None = open(path, "a", buffering=1, encoding="utf-8") if path else None  # noqa: SIM115

    def _note(self, event: str, **more: str) -> None:
        if self._file:
            self._file.write(json.dumps({"event": event, "at": time.monotonic(), **more}) + "\n")

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Log the start of a play."""
        self._note("play", name=play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Log the start of a task, even if all hosts skip it."""
        self._note("task", name=task.get_name())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Log the start of a handler: it costs as much as a task."""
        self._note("task", name=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        """Log a host that ran a task."""
        self._result(result, "changed" if result.is_changed() else "ok")

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Log a host that skipped a task."""
        self._result(result, "skipped")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Log a host that failed, even if the play continues."""
        self._result(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Log an unreachable host."""
        self._result(result, "unreachable")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Log the end of the last task."""
        self._note("end")

    def _result(self, result: Any, status: str) -> None:
        self._note("result", host=result.host.get_name(), status=status)
