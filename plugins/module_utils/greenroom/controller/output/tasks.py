# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The tasks that are running: their results are printed when all hosts have finished, their progress before that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible import constants

from .changes import details, host_label, joined, tree_changes
from .messages import is_message, message

LONGEST_SILENCE = 60.0
"""Seconds between two progress reports of one task, at most."""


@dataclass(eq=False)
class Task:
    """A task that is running, and its results so far."""

    name: str
    began: float = field(default_factory=time.monotonic)
    told: float = 0.0
    tries: str = ""
    hosts: list[str] = field(default_factory=list)
    """All hosts that have begun it, in that order."""
    running: set[str] = field(default_factory=set)
    changed: dict[str, str] = field(default_factory=dict)
    """The labels of the hosts that changed, by host."""
    in_check_mode: bool = False
    """Whether the task ran in check mode."""
    details: dict[str, list[str]] = field(default_factory=dict)
    """The changes by kind: files, units, items."""
    messages: dict[str, list[str]] = field(default_factory=dict)
    """The hosts of each message of a `debug` task."""

    def note(self, result: Any, item: object) -> None:
        """Keep the message and the change of a host's result; `item` is the label of its item in a loop."""
        host = result.host.get_name()
        if is_message(result):
            self.messages.setdefault(message(result.result), []).append(host)
        if result.is_changed():
            self.changed[host] = host_label(result)
            self.in_check_mode = bool(result.task.check_mode)
            if "ansible_loop_var" in result.result:
                self._add("items", str(item))
            if result.task.action == "template_tree":
                for kind, values in tree_changes(result.result).items():
                    self._add(kind, *values)

    def _add(self, kind: str, *values: str) -> None:
        """Add details, each only once: most are the same on all hosts."""
        known = self.details.setdefault(kind, [])
        known.extend(value for value in dict.fromkeys(values) if value not in known)

    def in_order(self, hosts: Iterable[str]) -> list[str]:
        """Return these hosts in the order in which they began."""
        chosen = set(hosts)
        return [host for host in list(self.hosts) if host in chosen]

    def show(self, show: Callable[..., None]) -> None:
        """Print the messages and the change."""
        # Sort by host, not by which host was first. Messages of one host stay in order.
        told = [(self.in_order(hosts), text) for text, hosts in self.messages.items()]
        for hosts, text in sorted(told, key=lambda each: self.hosts.index(each[0][0])):
            whose = "" if hosts == self.hosts else f"{joined(hosts)}:"
            gap = "\n" if whose and "\n" in text else " " if whose else ""
            show(f"{whose}{gap}{text}")
        if self.changed:
            hosts = [self.changed[host] for host in self.in_order(self.changed)]
            verb = "would change" if self.in_check_mode else "changed"
            line = f"{verb}: {joined(hosts)}  {self.name}{details(self.details, all_of_it=self.in_check_mode)}"
            show(line, color=constants.COLOR_CHANGED)

    def show_progress(self, show: Callable[..., None], first_report: float) -> None:
        """Print that the task is still running, if it is time for that."""
        seconds = time.monotonic() - self.began
        hosts = self.in_order(self.running.copy())
        if hosts and seconds - self.told >= min(max(self.told, first_report), LONGEST_SILENCE):
            self.told = seconds
            line = f"still running: {joined(hosts)}  {self.name} ({seconds:.0f} s{self.tries})"
            show(line, color=constants.COLOR_DEBUG)


class Tasks:
    """The tasks that are running, by their IDs; `show(text, color=...)` prints their results."""

    def __init__(self, show: Callable[..., None]) -> None:
        self._show = show
        self._running: dict[str, Task] = {}
        self._over = threading.Event()

    def start(self, task: str, name: str, host: str) -> None:
        """Record that a host has begun a task."""
        running = self._running.setdefault(task, Task(name))
        running.hosts.append(host)
        running.running.add(host)

    def of(self, result: Any) -> Task | None:
        """Return the task of a result, if it is recorded."""
        return self._running.get(result.task._uuid)

    def finish(self, result: Any, in_step: bool) -> None:
        """Record that a host has finished a task, and print the task's results if no other host is going to begin it.

        If hosts run in step, the first one may finish before the last one begins.
        """
        if task := self.of(result):
            task.running.discard(result.host.get_name())
            if not task.running and not in_step:
                self._running.pop(result.task._uuid).show(self._show)

    def finish_all(self) -> None:
        """Print the results of all tasks that have begun, including those that a host never finished."""
        while self._running:
            self._running.pop(next(iter(self._running))).show(self._show)

    def watch(self, first_report: float) -> None:
        """Report tasks that take long, until `stop`. The first report comes after so many seconds."""
        self._over = threading.Event()
        threading.Thread(target=self._watch, args=(self._over, first_report), daemon=True).start()

    def stop(self) -> None:
        """End the reports."""
        self._over.set()

    def _watch(self, over: threading.Event, first_report: float) -> None:
        # Ansible's display can be used from any thread.
        while not over.wait(min(1.0, first_report / 2)):
            for task in list(self._running.values()):
                task.show_progress(self._show, first_report)
