# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tasks are counted by what Ansible tells a callback: skipped ones, too, and once for each task, whatever the hosts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import common, tasks
from bench.common import Run
from bench.tasks import Task

ANSIBLE = str(Path(sys.executable).with_name("ansible-playbook"))
WORD = "a-word-that-nobody-may-read"
DEBUG = {"ansible.builtin.debug": {"msg": WORD}}
PLAYS: list[dict[str, Any]] = [
    {
        "name": "First",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"name": "Say it", **DEBUG},
            {"name": "Skip it everywhere", **DEBUG, "when": False},
            {"name": "Skip it somewhere", **DEBUG, "when": "inventory_hostname == 'one'", "changed_when": True},
            {"name": "Loop", **DEBUG, "loop": [1, 2, 3]},
            {"name": "Wait", "ansible.builtin.wait_for": {"timeout": 1}, "delegate_to": "localhost", "run_once": True},
            {"name": "Change", **DEBUG, "changed_when": True, "notify": "Handle"},
            {"name": "Fail", "ansible.builtin.fail": {"msg": WORD}, "ignore_errors": True},
        ],
        "handlers": [{"name": "Handle", **DEBUG}, {"name": "Never", **DEBUG}],
    },
    {"name": "Second", "hosts": "one", "gather_facts": False, "tasks": [{"name": "Say it", **DEBUG}]},
    {"name": "Nobody", "hosts": "nobody", "gather_facts": False, "tasks": [{"name": "Say it", **DEBUG}]},
]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    local = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    hosts = {"all": {"hosts": {"one": local, "two": local, "localhost": local}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (folder / "play.yml").write_text(yaml.safe_dump(PLAYS, sort_keys=False))
    (folder / "ansible.cfg").touch()
    command = [ANSIBLE, "-i", "hosts.yml", "-l", "one,two", "play.yml"]
    return common.run(command, {"ANSIBLE_CONFIG": str(folder / "ansible.cfg")}, cwd=folder)


def test_each_task_is_counted_once_with_what_came_of_it(ran: Run) -> None:
    assert [(task.play, task.name, dict(task.results)) for task in ran.tasks] == [
        ("First", "Say it", {"ok": 2}),
        ("First", "Skip it everywhere", {"skipped": 2}),
        ("First", "Skip it somewhere", {"changed": 1, "skipped": 1}),
        ("First", "Loop", {"ok": 2}),
        ("First", "Wait", {"ok": 1}),
        ("First", "Change", {"changed": 2}),
        ("First", "Fail", {"failed": 2}),
        ("First", "Handle", {"ok": 2}),
        ("Second", "Say it", {"ok": 1}),
    ]


def test_times_are_those_of_the_wall(ran: Run) -> None:
    (wait,) = [task for task in ran.tasks if task.name == "Wait"]
    assert 1 <= wait.seconds < ran.seconds
    begins = [task.began for task in ran.tasks]
    assert begins == sorted(begins)
    # Python and Ansible start first, and end last.
    assert begins[0] > 0
    assert begins[0] + sum(task.seconds for task in ran.tasks) < ran.seconds


def test_what_a_run_says_is_what_it_said_without_the_counter(ran: Run) -> None:
    assert ran.changed == 3
    assert "task_log" not in ran.output


def test_nothing_of_a_result_but_its_kind_is_noted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    play = tmp_path / "play.yml"
    play.write_text(yaml.safe_dump([{"name": "Say", "hosts": "localhost", "gather_facts": False, "tasks": [DEBUG]}]))
    common.run([ANSIBLE, "-i", "localhost,", "-c", "local", str(play)], tasks.noted_in(log), cwd=tmp_path)
    assert WORD not in log.read_text()
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()] == ["play", "task", "result", "end"]


def test_of_a_run_that_was_killed_there_is_what_it_did(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tasks.read(log) == []
    began = 1000.0
    events = [("play", "A"), ("task", "first"), ("task", "second")]
    log.write_text("\n".join(json.dumps({"event": e, "at": began + n, "name": m}) for n, (e, m) in enumerate(events)))
    assert tasks.read(log, began) == [Task("A", "first", 1.0, 1.0), Task("A", "second", 2.0, 0.0)]


def test_a_command_without_ansible_has_no_tasks() -> None:
    assert common.run(["true"]).tasks == []
