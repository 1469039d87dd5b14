# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The output of a run: its phases, changes, messages, complete errors, and a summary."""

from __future__ import annotations

DOCUMENTATION = """
name: greenroom
type: stdout
author: Greenroom developers (!UNKNOWN)
short_description: Phases, changes, messages and a summary
version_added: "1.0.0"
description:
  - Prints the start of each phase, the tasks that changed something and on which hosts, the messages of C(debug) tasks,
    and tasks that take long. At the end, prints the duration of each phase and a summary of the run. Tasks that change
    nothing print nothing.
  - Shows errors, warnings and differences as the default callback does. With C(-v) and more, shows all output that way.
  - Consecutive plays from the same file in the project's folder C(playbooks/) are one phase with the file's name.
    Everywhere else, each play is a phase.
  - O(display_ok_hosts), O(display_skipped_hosts) and O(display_included_hosts) only have an effect with C(-v).
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  progress_seconds:
    description:
      - Seconds after which a task that is still running is reported. The interval doubles each time, up to one minute.
        V(0) turns these reports off.
    type: float
    default: 10
    env:
      - name: GREENROOM_PROGRESS_SECONDS
    ini:
      - section: callback_greenroom
        key: progress_seconds
"""

import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants, context
from ansible.playbook.task_include import TaskInclude

PROJECT = Path(__file__).resolve().parents[2]
# Ansible finds the checkout's module_utils only for modules. The vars plugin `catalogue` makes them importable for
# plugins, but not every project with this callback has it.
ansible.module_utils.__path__.append(str(PROJECT / "plugins" / "module_utils"))

from ansible.module_utils.greenroom.controller.output import messages, summary_columns
from ansible.module_utils.greenroom.controller.output.phases import Phases
from ansible.module_utils.greenroom.controller.output.quiet import QuietCallback
from ansible.module_utils.greenroom.controller.output.tasks import Tasks

CHECK_MODE = "CHECK MODE: nothing is changed. This run only shows what it would change."


class CallbackModule(QuietCallback):  # type: ignore[misc]
    """The project's output of a run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "greenroom"

    def __init__(self) -> None:
        super().__init__()
        self._phases = Phases(self._display.display)
        self._tasks = Tasks(self._display.display)
        self._summary: Mapping[str, Any] = {}
        # Python buffers output to a pipe or a file. Without this, most runs would print everything at the end.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)

    @property
    def _in_step(self) -> bool:
        """Whether each task begins after all hosts have finished the one before, and Ansible doesn't ask in between."""
        return self._last_task_name is not None and not context.CLIARGS.get("step")

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Count the phases."""
        super().v2_playbook_on_start(playbook)
        plays = [(play._uuid, play.get_path()) for play in playbook.get_plays()]
        self._phases, self._summary = Phases(self._display.display, plays, PROJECT / "playbooks"), {}
        self._show_check_mode()
        if self.quiet and (seconds := self.get_option("progress_seconds")):
            self._tasks.watch(seconds)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Begin the play's phase; without -v, its title appears with its first task, because there may be none."""
        self._tasks.finish_all()
        self._phases.enter(play._uuid, play.get_name().strip())
        if self.quiet:
            self._play = play
        else:
            self._phases.show_title()
            super().v2_playbook_on_play_start(play)

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        self._phases.begin_task()
        super()._task_start(task, prefix)
        if self._in_step:
            self._tasks.finish_all()

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Record that a host has begun a task."""
        super().v2_runner_on_start(host, task)
        if self.quiet:
            # Only the task's start has the rendered name.
            self._tasks.start(task._uuid, self._last_task_name or task.get_name().strip(), host.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        """Keep changes and messages until all hosts have finished the task."""
        found = summary_columns.summary_of(result)
        self._summary = found or self._summary
        if not self.quiet:
            super().v2_runner_on_ok(result)
        elif result.task.loop and "results" in result.result:
            self.show_warnings(result)
        elif not found:
            self._note(result, super().v2_runner_on_ok)
        self._tasks.finish(result, self._in_step)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Show the failure as the default callback does; without -v, each message only once."""
        if self.quiet and not result.task.loop:
            messages.shorten(result.result)
        super().v2_runner_on_failed(result, ignore_errors)
        self._tasks.finish(result, self._in_step)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Show the error as the default callback does."""
        super().v2_runner_on_unreachable(result)
        self._tasks.finish(result, self._in_step)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Record that the host has finished."""
        super().v2_runner_on_skipped(result)
        self._tasks.finish(result, self._in_step)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Keep changes and messages."""
        if self.quiet:
            self._note(result, super().v2_runner_item_on_ok)
        else:
            super().v2_runner_item_on_ok(result)

    def v2_runner_retry(self, result: Any) -> None:
        """Keep the number of the try for the progress reports."""
        if task := self._tasks.of(result):
            task.tries = f", try {result.result['attempts']} of {result.result['retries']}"
        else:
            super().v2_runner_retry(result)

    def _note(self, result: Any, show: Callable[[Any], None]) -> None:
        """Keep the message and the change of a host's task, or of one item of its loop."""
        if isinstance(result.task, TaskInclude):
            return
        self.show_warnings(result)
        task = self._tasks.of(result)
        if task is None or (result.task.diff and result.is_changed() and result.result.get("diff")):
            # The difference must appear with its host.
            show(result)
            return
        if messages.is_message(result):
            self._clean_results(result.result, result.task.action)
        task.note(result, self._get_item_label(result.result))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print the results by host, the duration of each phase, and the summary."""
        self._tasks.stop()
        self._tasks.finish_all()
        failed = bool(stats.failures or stats.dark)
        self._phases.end(failed)
        super().v2_playbook_on_stats(stats)
        self._display.display(self._phases.durations())
        if failed:
            self._phases.show_failed()
        if self._summary:
            self._display.display("\n" + "\n".join(summary_columns.lines(self._summary)))
        self._show_check_mode()

    def _show_check_mode(self) -> None:
        if context.CLIARGS.get("check"):
            self._display.display(CHECK_MODE, color=constants.COLOR_WARN)
