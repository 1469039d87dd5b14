# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Callback that notes what a run of Ansible does, and when, one JSON object a line. `bench/tasks.py` reads it."""

from __future__ import annotations

import json
import os
import time
from typing import IO, Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_log
type: aggregate
short_description: Notes each play, task and result with its time
description:
  - Notes each play, task and result with its time, for who measures and counts.
  - E(GREENROOM_TASK_LOG) names the file; without it nothing is noted.
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
        # Line by line, so that of a run that is killed everything is there.
        self._file: IO[str] | None = open(path, "a", buffering=1, encoding="utf-8") if path else None  # noqa: SIM115

    def _note(self, event: str, **more: str) -> None:
        if self._file:
            self._file.write(json.dumps({"event": event, "at": time.monotonic(), **more}) + "\n")

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Note a play."""
        self._note("play", name=play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Note a task, whatever comes of it on the hosts."""
        self._note("task", name=task.get_name())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Note a handler that runs: it costs what a task does."""
        self._note("task", name=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        """Note a host that did a task."""
        self._result(result, "changed" if result.is_changed() else "ok")

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Note a host that had nothing to do."""
        self._result(result, "skipped")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Note a host that failed, also where the play goes on."""
        self._result(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Note a host that could not be reached."""
        self._result(result, "unreachable")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Note the end of the last task."""
        self._note("end")

    def _result(self, result: Any, status: str) -> None:
        self._note("result", host=result.host.get_name(), status=status)
