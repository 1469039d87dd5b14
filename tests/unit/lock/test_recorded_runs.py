# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The history of real runs with a real lock, on this machine: what it says of how they ended."""

from __future__ import annotations

import getpass
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import plays
import pytest
from ansible.module_utils.greenroom.history import runs

SECONDS = {"renew": 0.2, "expire": 20, "poll": 0.1, "timeout": 10, "reconnect": 1}
LOCK = {
    "environment_name": "test-{{ playbook_dir | hash }}",
    "seconds": SECONDS,
    "files": {"path": "{{ playbook_dir }}/lock.json", "history": "{{ playbook_dir }}/history/runs.jsonl"},
    "run": {"id": "one", "user": "{{ operator | default('') }}", "reason": "{{ reason | default('') }}"},
}
TAKE = {"name": "Take the lock", "environment_lock": LOCK, "loop": [1]}
RELEASE = {key: LOCK[key] for key in ("environment_name", "seconds")} | {"state": "released"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # Without callback_plugins, as in AWX: the project's vars plugin loads the callback.
    plays.configure(tmp_path, action_plugins=plays.ROOT / "plugins/action")
    reached = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
    plays.write_hosts(tmp_path, {"app": {"hosts": {"app1": {}, "app2": {}}}}, reached)
    return tmp_path


def write(folder: Path, *tasks: dict[str, Any]) -> None:
    play = {"hosts": "all", "gather_facts": False, "tasks": [TAKE | {"run_once": True}, *tasks]}
    (folder / "play.yml").write_text(json.dumps([play]))


def history(folder: Path) -> str:
    return (folder / "history/runs.jsonl").read_text()


def ended(folder: Path, *options: str) -> runs.Run:
    """Run the play, and return what the history says once the lock is released."""
    plays.run(folder, *options)
    end = time.monotonic() + 60
    while '"ended"' not in history(folder) and time.monotonic() < end:
        time.sleep(0.05)
    (run,) = runs.runs(history(folder))
    return run


def test_a_run_that_releases_the_lock_has_passed_with_its_summary(folder: Path) -> None:
    summary = {"live slot": "blue, release 1.0"}
    write(folder, {"environment_lock": RELEASE | {"summary": summary}, "run_once": True})
    run = ended(folder, "-e", "reason='to try it'")
    assert (run["result"], run["summary"], run["reason"]) == ("passed", summary, "to try it")
    assert (run["user"], run["playbook"]) == (getpass.getuser(), "play.yml")


def test_a_run_that_keeps_the_lock_to_its_end_has_passed(folder: Path) -> None:
    write(folder, {"ansible.builtin.debug": {"msg": "work"}})
    assert ended(folder)["result"] == "passed"


def test_a_run_that_goes_on_without_the_lock_has_released_it(folder: Path) -> None:
    write(folder, {"environment_lock": RELEASE, "run_once": True})
    assert ended(folder)["result"] == "released"


def test_a_run_that_failed_names_the_task_and_the_hosts_and_not_the_message(folder: Path) -> None:
    failing = {"name": "Break {{ inventory_hostname }}", "ansible.builtin.fail": {"msg": "the password is apple"}}
    write(folder, {"ansible.builtin.fail": {"msg": "x"}, "ignore_errors": True}, failing)
    run = ended(folder)
    assert (run["result"], run["hosts"]) == ("failed", ["app1", "app2"])
    assert "Break" in run["task"]
    assert "apple" not in history(folder)


def test_an_error_that_a_run_handles_does_not_count(folder: Path) -> None:
    handled = {"block": [{"ansible.builtin.fail": {"msg": "x"}}], "rescue": [{"ansible.builtin.meta": "noop"}]}
    write(folder, handled)
    assert ended(folder)["result"] == "passed"


def test_the_history_names_the_operator_that_awx_knows(folder: Path) -> None:
    write(folder)
    assert ended(folder, "-e", "operator=ann")["user"] == "ann"


def test_check_mode_takes_no_lock_and_is_not_recorded(folder: Path) -> None:
    write(folder)
    assert plays.run(folder, "--check").returncode == 0
    assert not (folder / "history").exists()


@pytest.mark.parametrize(("how", "result"), [(signal.SIGINT, "interrupted"), (signal.SIGKILL, "crashed")])
def test_a_run_that_is_ended_from_outside(folder: Path, how: signal.Signals, result: str) -> None:
    started = folder / "started"
    write(folder, {"ansible.builtin.command": f"sh -c 'touch {started}; exec sleep 600'", "run_once": True})
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(folder / "ansible.cfg")}
    words = [program, "-i", "hosts.yml", "play.yml"]
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        end = time.monotonic() + 60
        while not started.exists() and time.monotonic() < end:
            time.sleep(0.05)
        if how == signal.SIGINT:
            os.killpg(process.pid, how)
        else:
            os.kill(process.pid, how)
            os.killpg(process.pid, how)
    # A crash leaves the lock, and so its connection, until the holder has noticed.
    end = time.monotonic() + 60
    while result == "interrupted" and '"ended"' not in history(folder) and time.monotonic() < end:
        time.sleep(0.05)
    assert [run["result"] for run in runs.runs(history(folder))] == [result]
