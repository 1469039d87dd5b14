# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible's default callback, but without -v, it prints only errors, warnings and differences."""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback.default import CallbackModule as DefaultCallback


class QuietCallback(DefaultCallback):  # type: ignore[misc]
    """The base of the project's callback. `quiet` is False with -v: it then prints what the default callback does."""

    @property
    def quiet(self) -> bool:
        """Whether the run has no -v."""
        return not self._display.verbosity

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:
        """Hide results without changes; the parent class then prints a task's name only above its output."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        if self.quiet:
            for kind in ("ok", "skipped", "included"):
                self.set_option(f"display_{kind}_hosts", False)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Print nothing for a play without hosts."""
        if not self.quiet:
            super().v2_playbook_on_no_hosts_matched()

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Print only warnings."""
        if self.quiet:
            self.show_warnings(result)
        super().v2_runner_on_skipped(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """Print only warnings."""
        if self.quiet:
            self.show_warnings(result)
        super().v2_runner_item_on_skipped(result)

    def v2_runner_on_async_poll(self, result: Any) -> None:
        """Print nothing: progress reports cover long tasks."""
        if not self.quiet:
            super().v2_runner_on_async_poll(result)

    def v2_runner_on_async_ok(self, result: Any) -> None:
        """Print nothing: the task's own result follows."""
        if not self.quiet:
            super().v2_runner_on_async_ok(result)

    def show_warnings(self, result: Any) -> None:
        """Print a task's warnings below its name."""
        if (result.warnings or result.exception) and self._last_task_banner != result.task._uuid:
            self._print_task_banner(result.task)
        self._handle_warnings_and_exception(result)
