# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tells the history of the runs how a run ended."""

from __future__ import annotations

DOCUMENTATION = """
name: run_record
type: notification
author: Greenroom developers (!UNKNOWN)
short_description: The result of a run, for the history of the runs
version_added: "1.0.0"
description:
  - Tells the process that holds the environment's lock whether the run has passed or which task failed on which hosts.
    That process writes it into the history on the lock's host (C(playbooks/audit.yml)).
  - Needs no configuration, and works with any callback for the output, also in AWX and ansible-runner.
"""

import os
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.callback import CallbackBase

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

from ansible.module_utils.greenroom.controller.lock import holder, lock

TIMEOUT = 20.0
"""Seconds for the answer of the process that holds the lock."""
SHOWN = 10
"""How many hosts a failure names."""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Remembers the locks of a run and its last failure. Keeps no messages: they may contain anything."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "run_record"

    def __init__(self) -> None:
        super().__init__()
        self._locks: dict[str, bytes] = {}
        self._failed: dict[str, list[str]] = {}

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Remember a lock that the run has taken, and tell what an end without another word means."""
        if (name := result.result.get("lock")) and name not in self._locks:
            self._locks[name] = lock.address(name, os.getpid())
            self._tell({"result": "interrupted"})

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Remember which task failed on which hosts."""
        if not ignore_errors:
            self._failed.setdefault(result.task.get_name().strip(), []).append(result.host.get_name())

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Remember which hosts did not answer."""
        self.v2_runner_on_failed(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Tell the result to the processes that still hold a lock of this run."""
        told: dict[str, Any] = {"result": "passed"}
        if stats.failures or stats.dark:
            task, hosts = next(reversed(self._failed.items()), ("", [*stats.failures, *stats.dark]))
            told = {"result": "failed", "task": task, "hosts": hosts[:SHOWN]}
        self._tell(told)

    def _tell(self, result: dict[str, Any]) -> None:
        for address in self._locks.values():
            holder.ask(address, "result", TIMEOUT, result)
