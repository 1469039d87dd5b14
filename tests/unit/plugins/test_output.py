# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The output of a run as data: phases, changes, messages, progress and the summary, without Ansible."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.output import changes, messages, phases, summary_columns, tasks
from ansible.module_utils.greenroom.controller.output.phases import Phases
from ansible.module_utils.greenroom.controller.output.tasks import Task, Tasks


class Screen:
    """Keeps the lines that are printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = 0.0

    def show(self, text: str, color: str | None = None) -> None:
        self.lines.append(text)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A screen on which no time passes unless `now` changes."""
    screen = Screen()
    for module in (phases, tasks):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: screen.now))
    return screen


def result_of(host: str, action: str = "copy", changed: bool = False, task: str = "1", **data: Any) -> Any:
    """A result as a callback gets it."""
    about = SimpleNamespace(action=action, delegate_to=None, check_mode=data.pop("check", False), _uuid=task)
    return SimpleNamespace(
        host=SimpleNamespace(get_name=lambda: host),
        task=about,
        task_name=data.pop("name", "a task"),
        result=data,
        is_changed=lambda: changed,
    )


# Phases


def test_phases_are_files_of_the_folder_and_other_plays(screen: Screen, tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    plays = [
        ("a", f"{steps}/hosts.yml:1"),
        ("b", f"{steps}/hosts.yml:9"),
        ("c", "/else/x.yml:1"),
        ("d", "/else/x.yml:2"),
    ]
    run = Phases(screen.show, plays, steps)
    for play, name in (("a", "First"), ("b", "Second"), ("c", "Third"), ("d", "Fourth"), ("unknown", "Fifth")):
        run.enter(play, name)
        if play != "c":
            run.begin_task()
    screen.now = 4.0
    run.end(failed=False)
    titles = ["1 of 3: hosts", "2 of 3: Third: nothing to do", "3 of 3: Fourth"]
    assert screen.lines == [f"Phase {title}" for title in titles]
    assert run.durations() == "Took 4 s: hosts 0 s, Fourth 4 s"


def test_a_failure_names_its_phase_and_hides_later_ones(screen: Screen) -> None:
    run = Phases(screen.show, [("a", "/x.yml:1"), ("b", "/x.yml:2")])
    run.enter("a", "First")
    run.begin_task()
    run.end(failed=True)
    run.show_failed()
    assert screen.lines == ["Phase 1 of 2: First", "Failed in phase 1 of 2: First"]


def test_a_run_without_plays_prints_no_phase(screen: Screen) -> None:
    run = Phases(screen.show)
    run.begin_task()
    run.end(failed=False)
    run.show_failed()
    assert screen.lines == []
    assert run.durations() == "Took 0 s"


# Changes


def test_many_hosts_are_counted() -> None:
    assert changes.joined([f"app{number}" for number in range(8)]).endswith("app6, app7")
    assert changes.joined([f"app{number}" for number in range(9)]).endswith("app5 and 3 more")


def test_a_delegated_task_names_both_hosts() -> None:
    result = result_of("app1")
    result.task.delegate_to = "ops1"
    assert changes.host_label(result) == "app1 -> ops1"


def test_a_removed_file_is_listed() -> None:
    found = {"changed_files": ["/a"], "removed_files": ["/b"], "units": {"a.service": "restarted"}}
    assert changes.tree_changes(found) == {"files": ["/a", "/b removed"], "units": ["a.service restarted"]}
    assert changes.tree_changes({}) == {"files": [], "units": []}


def test_long_lists_of_changes_are_counted() -> None:
    files = [f"/etc/a/file/{number}" for number in range(9)]
    assert changes.details({"files": files, "units": []}, all_of_it=False) == " (9 files)"
    assert changes.details({"files": files, "units": ["a"]}, all_of_it=True) == f" ({', '.join(files)}; a)"
    assert changes.details({}, all_of_it=True) == ""


# Tasks


def test_results_are_printed_when_the_last_host_has_finished(screen: Screen) -> None:
    running = Tasks(screen.show)
    results = [result_of(host, changed=True) for host in ("app1", "app2")]
    for host in ("app1", "app2"):
        running.start("1", "Copy it", host)
    for result in results:
        assert screen.lines == []
        task = running.of(result)
        assert task
        task.note(result, None)
        running.finish(result, in_step=False)
    assert screen.lines == ["changed: app1, app2  Copy it"]
    assert running.of(results[0]) is None


def test_hosts_in_step_are_printed_before_the_next_task(screen: Screen) -> None:
    running = Tasks(screen.show)
    result = result_of("app1", changed=True, check=True, ansible_loop_var="item")
    running.start("1", "Copy it", "app1")
    task = running.of(result)
    assert task
    task.note(result, "one")
    task.note(result, "two")
    task.note(result, "one")
    running.finish(result, in_step=True)
    assert screen.lines == []
    running.finish_all()
    assert screen.lines == ["would change: app1  Copy it (one, two)"]


def test_files_of_a_tree_are_listed_once_for_all_hosts(screen: Screen) -> None:
    task = Task("Apply", hosts=["app1", "app2"])
    for host in ("app2", "app1"):
        task.note(result_of(host, "template_tree", changed=True, changed_files=["/etc/a"]), None)
    task.show(screen.show)
    assert screen.lines == ["changed: app1, app2  Apply (/etc/a)"]


def test_a_message_of_all_hosts_is_printed_once(screen: Screen) -> None:
    task = Task("Say it", hosts=["app1", "app2"])
    for host in ("app2", "app1"):
        task.note(result_of(host, "debug", msg="the same"), None)
        task.note(result_of(host, "debug", msg=f"one\nof {host}"), None)
    task.show(screen.show)
    assert sorted(screen.lines) == ["app1:\none\nof app1", "app2:\none\nof app2", "the same"]


def test_progress_is_reported_ever_later(screen: Screen) -> None:
    task = Task("Wait", began=0.0, tries=", try 2 of 9", hosts=["app1", "app2"], running={"app2"})
    for seconds in (5, 11, 15, 23, 47, 95, 100, 156):
        screen.now = float(seconds)
        task.show_progress(screen.show, 10.0)
    reported = [line.split("(")[1].split(" s")[0] for line in screen.lines]
    assert reported == ["11", "23", "47", "95", "156"]
    assert screen.lines[0] == "still running: app2  Wait (11 s, try 2 of 9)"


def test_progress_ends_with_the_run(screen: Screen) -> None:
    running = Tasks(screen.show)
    running.watch(0.01)
    running.stop()
    assert running._over.is_set()


# Messages and the summary


def test_messages_keep_their_lines_and_order() -> None:
    assert messages.message({"msg": "plain", "_ansible_no_log": False}) == "plain"
    assert (
        messages.message({"msg": {"b": "two\nlines", "a": [1, Path("/x")]}}) == "b: |-\n  two\n  lines\na:\n- 1\n- /x"
    )
    assert messages.message({"some_variable": 3, "_ansible_no_log": False}) == "some_variable: 3"


def test_only_the_role_report_passes_a_summary_on() -> None:
    data = {"live slot": "blue"}
    assert summary_columns.summary_of(result_of("a", "debug", name="report : Print the summary", msg=data)) == data
    assert summary_columns.summary_of(result_of("a", "debug", name="report : Print a text", msg="text")) == {}
    assert summary_columns.summary_of(result_of("a", "debug", name="Print", msg=data)) == {}
    assert summary_columns.summary_of(result_of("a", "copy", name="report : Copy", msg=data)) == {}


def test_the_values_of_a_summary_are_aligned() -> None:
    assert list(summary_columns.lines({"live slot": "blue", "next": ["one", "two"]})) == [
        "live slot  blue",
        "next       one",
        "           two",
    ]
