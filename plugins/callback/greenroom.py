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
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible import constants, context
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as DefaultCallback

STEPS = Path(__file__).resolve().parents[2] / "playbooks"
# The role that prints a run's summary.
SUMMARY = "report : "
CHECK_MODE = "CHECK MODE: nothing is changed. This run only shows what it would change."
SHORT = 80
"""Characters; a longer list of changes is shown as a number."""
MANY_HOSTS = 8
LONGEST_SILENCE = 60.0


class _Dumper(yaml.SafeDumper):
    """Keeps the lines of multi-line strings, and shows types that YAML doesn't know as strings."""


def _text(dumper: yaml.SafeDumper, value: Any) -> yaml.Node:
    text = str(value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(object, _text)


@dataclass(eq=False)
class _Phase:
    """One phase of a run. For a play from outside the project, the name is empty until the play begins."""

    number: int
    name: str
    began: float = 0.0
    seconds: float = 0.0
    shown: bool = False
    empty: bool = True


@dataclass(eq=False)
class _Work:
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

    def note(self, kind: str, *values: str) -> None:
        """Add details, each only once: most are the same on all hosts."""
        known = self.details.setdefault(kind, [])
        known.extend(value for value in dict.fromkeys(values) if value not in known)

    def in_order(self, hosts: Iterable[str]) -> list[str]:
        """Return these hosts in the order in which they began."""
        chosen = set(hosts)
        return [host for host in list(self.hosts) if host in chosen]


class CallbackModule(DefaultCallback):  # type: ignore[misc]
    """The project's output of a run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "greenroom"

    def __init__(self) -> None:
        super().__init__()
        self._over = threading.Event()
        self._began = 0.0
        self._phases: dict[str, _Phase] = {}
        self._phase: _Phase | None = None
        self._under_way: dict[str, _Work] = {}
        self._summary: Mapping[str, Any] = {}
        # Python buffers output to a pipe or a file. Without this, most runs would print everything at the end.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:
        """Hide results without changes; the parent class then prints a task's name only above its output."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        if self._quiet:
            for kind in ("ok", "skipped", "included"):
                self.set_option(f"display_{kind}_hosts", False)

    @property
    def _quiet(self) -> bool:
        return not self._display.verbosity

    # Phases

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Count the phases."""
        super().v2_playbook_on_start(playbook)
        self._began = time.monotonic()
        self._phases = dict(_phases(playbook.get_plays()))
        self._phase, self._summary = None, {}
        if context.CLIARGS.get("check"):
            self._display.display(CHECK_MODE, color=constants.COLOR_WARN)
        if self._quiet and self.get_option("progress_seconds"):
            self._over = threading.Event()
            threading.Thread(target=self._watch, args=(self._over,), daemon=True).start()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Begin the play's phase; without -v, its title appears with its first task, because there may be none."""
        self._tell_all()
        phase = self._phases.get(play._uuid)
        if phase and phase is not self._phase:
            self._end_phase()
            self._phase, phase.began = phase, time.monotonic()
            phase.name = phase.name or play.get_name().strip()
        if self._quiet:
            self._play = play
        else:
            self._show_phase()
            super().v2_playbook_on_play_start(play)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Print nothing for a play without hosts, except with -v."""
        if not self._quiet:
            super().v2_playbook_on_no_hosts_matched()

    def _show_phase(self) -> None:
        if self._phase and not self._phase.shown:
            self._show_empty_phases(self._phase.number)
            self._phase.shown = True
            self._display.display(f"Phase {self._title(self._phase)}", color=constants.COLOR_HIGHLIGHT)

    def _show_empty_phases(self, end: int) -> None:
        """Print the titles of phases without a task, so that no number is missing."""
        for phase in dict.fromkeys(self._phases.values()):
            if phase.number < end and not phase.shown:
                phase.shown = True
                self._display.display(f"Phase {self._title(phase)}: nothing to do", color=constants.COLOR_SKIP)

    def _title(self, phase: _Phase) -> str:
        return f"{phase.number} of {max(each.number for each in self._phases.values())}: {phase.name}"

    def _end_phase(self) -> None:
        if self._phase:
            self._phase.seconds = time.monotonic() - self._phase.began

    # Tasks

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        if self._phase:
            self._phase.empty = False
            self._show_phase()
        super()._task_start(task, prefix)
        if self._in_step:
            self._tell_all()

    @property
    def _in_step(self) -> bool:
        """Whether each task begins after all hosts have finished the one before, and Ansible doesn't ask in between."""
        return self._last_task_name is not None and not context.CLIARGS.get("step")

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Record that a host has begun a task."""
        super().v2_runner_on_start(host, task)
        if self._quiet:
            # Only the task's start has the rendered name.
            work = self._under_way.setdefault(task._uuid, _Work(self._last_task_name or task.get_name().strip()))
            work.hosts.append(host.get_name())
            work.running.add(host.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        """Keep changes and messages until all hosts have finished the task."""
        summary = _summary(result)
        self._summary = summary or self._summary
        if not self._quiet:
            super().v2_runner_on_ok(result)
            return
        if _is_loop(result):
            self._warn(result)
        elif not summary and not isinstance(result.task, TaskInclude):
            self._note(result, super().v2_runner_on_ok)
        self._answered(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Show the failure as the default callback does."""
        super().v2_runner_on_failed(result, ignore_errors)
        self._answered(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Show the error as the default callback does."""
        super().v2_runner_on_unreachable(result)
        self._answered(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Show only warnings."""
        if self._quiet:
            self._warn(result)
        super().v2_runner_on_skipped(result)
        self._answered(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Keep changes and messages."""
        if not self._quiet:
            super().v2_runner_item_on_ok(result)
        elif not isinstance(result.task, TaskInclude):
            self._note(result, super().v2_runner_item_on_ok)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """Show only warnings."""
        if self._quiet:
            self._warn(result)
        super().v2_runner_item_on_skipped(result)

    def v2_runner_retry(self, result: Any) -> None:
        """Keep the number of the try for the progress reports."""
        if work := self._work_of(result):
            work.tries = f", try {result.result['attempts']} of {result.result['retries']}"
        else:
            super().v2_runner_retry(result)

    def v2_runner_on_async_poll(self, result: Any) -> None:
        """Print nothing: progress reports cover long tasks."""
        if not self._quiet:
            super().v2_runner_on_async_poll(result)

    def v2_runner_on_async_ok(self, result: Any) -> None:
        """Print nothing: the task's own result follows."""
        if not self._quiet:
            super().v2_runner_on_async_ok(result)

    def _work_of(self, result: Any) -> _Work | None:
        return self._under_way.get(result.task._uuid)

    def _warn(self, result: Any) -> None:
        """Show a task's warnings below its name."""
        if (result.warnings or result.exception) and self._last_task_banner != result.task._uuid:
            self._print_task_banner(result.task)
        self._handle_warnings_and_exception(result)

    def _note(self, result: Any, show: Callable[[Any], None]) -> None:
        """Keep the message and the change of a host's task, or of one item of its loop."""
        self._warn(result)
        work, host = self._work_of(result), result.host.get_name()
        if work is None or (result.task.diff and result.is_changed() and result.result.get("diff")):
            # The difference must appear with its host.
            show(result)
            return
        if result.task.action in constants._ACTION_DEBUG:
            self._clean_results(result.result, result.task.action)
            work.messages.setdefault(_message(result.result), []).append(host)
        if result.is_changed():
            work.changed[host] = _label(result)
            work.in_check_mode = bool(result.task.check_mode)
            if "ansible_loop_var" in result.result:
                work.note("items", str(self._get_item_label(result.result)))
            if result.task.action == "template_tree":
                for kind, values in _tree_changes(result.result).items():
                    work.note(kind, *values)

    def _answered(self, result: Any) -> None:
        if work := self._work_of(result):
            work.running.discard(result.host.get_name())
            # If hosts run in step, the first one may finish before the last one begins.
            if not work.running and not self._in_step:
                self._tell(self._under_way.pop(result.task._uuid))

    def _tell_all(self) -> None:
        """Print the results of all tasks that have begun, including those that a host never finished."""
        while self._under_way:
            self._tell(self._under_way.pop(next(iter(self._under_way))))

    def _tell(self, work: _Work) -> None:
        # Sort by host, not by which host was first. Messages of one host stay in order.
        told = [(work.in_order(hosts), text) for text, hosts in work.messages.items()]
        for hosts, text in sorted(told, key=lambda each: work.hosts.index(each[0][0])):
            whose = "" if hosts == work.hosts else f"{_joined(hosts)}:"
            gap = "\n" if whose and "\n" in text else " " if whose else ""
            self._display.display(f"{whose}{gap}{text}")
        if work.changed:
            hosts = [work.changed[host] for host in work.in_order(work.changed)]
            verb = "would change" if work.in_check_mode else "changed"
            line = f"{verb}: {_joined(hosts)}  {work.name}{_details(work.details, all_of_it=work.in_check_mode)}"
            self._display.display(line, color=constants.COLOR_CHANGED)

    def _watch(self, over: threading.Event) -> None:
        """Report tasks that take long, until the run is over. Ansible's display can be used from any thread."""
        first_report = self.get_option("progress_seconds")
        while not over.wait(min(1.0, first_report / 2)):
            for work in list(self._under_way.values()):
                seconds = time.monotonic() - work.began
                hosts = work.in_order(work.running.copy())
                if hosts and seconds - work.told >= min(max(work.told, first_report), LONGEST_SILENCE):
                    work.told = seconds
                    line = f"still running: {_joined(hosts)}  {work.name} ({seconds:.0f} s{work.tries})"
                    self._display.display(line, color=constants.COLOR_DEBUG)

    # The end

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print the results by host, the duration of each phase, and the summary."""
        self._over.set()
        self._tell_all()
        self._end_phase()
        bad = bool(stats.failures or stats.dark)
        if self._phase and not bad:
            self._show_empty_phases(self._phase.number + 1)
        super().v2_playbook_on_stats(stats)
        self._display.display(self._durations())
        if self._phase and bad:
            line = f"Failed in phase {self._title(self._phase)}"
            self._display.display(line, color=constants.COLOR_ERROR)
        if self._summary:
            self._display.display("\n" + "\n".join(_block(self._summary)))
        if context.CLIARGS.get("check"):
            self._display.display(CHECK_MODE, color=constants.COLOR_WARN)

    def _durations(self) -> str:
        """Return a line with the seconds of each phase; phases with the same name are added up."""
        seconds: dict[str, float] = {}
        for phase in dict.fromkeys(self._phases.values()):
            if not phase.empty:
                seconds[phase.name] = seconds.get(phase.name, 0.0) + phase.seconds
        parts = ", ".join(f"{name} {took:.0f}\xa0s".replace(" ", "\xa0") for name, took in seconds.items())
        line = f"Took {time.monotonic() - self._began:.0f} s{': ' if parts else ''}{parts}"
        # Don't wrap between a name and its seconds.
        return textwrap.fill(line, 100, subsequent_indent="  ", break_on_hyphens=False).replace("\xa0", " ")


def _phases(plays: Sequence[Any]) -> Iterator[tuple[str, _Phase]]:
    """Yield each play's ID and phase: consecutive plays of the same playbook file are one phase."""
    number, before = 0, None
    for play in plays:
        path = Path(play.get_path().rpartition(":")[0])
        step = path.stem if path.resolve().is_relative_to(STEPS) else None
        if step is None or step != before:
            number += 1
            phase = _Phase(number, step or "")
        before = step
        yield play._uuid, phase


def _summary(result: Any) -> Mapping[str, Any]:
    """Return the run's summary if this is the task that prints it, else an empty mapping."""
    said = result.result.get("msg")
    ours = result.task.action in constants._ACTION_DEBUG and result.task_name.startswith(SUMMARY)
    return said if ours and isinstance(said, Mapping) else {}


def _is_loop(result: Any) -> bool:
    return bool(result.task.loop) and "results" in result.result


def _label(result: Any) -> str:
    """Return the host, and the host that the task was delegated to."""
    host, other = str(result.host.get_name()), result.task.delegate_to
    return host if other in (None, host) else f"{host} -> {other}"


def _joined(hosts: Sequence[str]) -> str:
    if len(hosts) <= MANY_HOSTS:
        return ", ".join(hosts)
    return f"{', '.join(hosts[: MANY_HOSTS - 2])} and {len(hosts) - MANY_HOSTS + 2} more"


def _tree_changes(result: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the files and units that a call of template_tree changed; nothing if the result is hidden."""
    files = [*result.get("changed_files", ()), *(f"{path} removed" for path in result.get("removed_files", ()))]
    units = [f"{unit} {what}" for unit, what in result.get("units", {}).items()]
    return {"files": files, "units": units}


def _details(details: Mapping[str, Sequence[str]], all_of_it: bool) -> str:
    """Return the changes of each kind, as a list or, if that is long, as a number."""
    parts = []
    for kind, values in details.items():
        listed = ", ".join(values)
        parts += [listed if all_of_it or len(listed) <= SHORT else f"{len(values)} {kind}"] if values else []
    return f" ({'; '.join(parts)})" if parts else ""


def _message(result: Mapping[str, Any]) -> str:
    """Return the message of a `debug` task."""
    shown = {key: value for key, value in result.items() if not key.startswith("_ansible_")}
    value = shown.get("msg", shown)
    if isinstance(value, Mapping | list):
        dumped = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)
        return f"{dumped}".rstrip("\n")
    return str(value)


def _block(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a summary, with its values aligned."""
    width = max(len(key) for key in summary) + 2
    for key, value in summary.items():
        for number, line in enumerate(value if isinstance(value, list) else [value]):
            yield f"{'' if number else key:{width}}{line}"
