# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A run without Ansible's start is the same run, with its own settings, variables, plugins and exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import plays
import pytest

from tests import warm_start

MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
AnsibleModule({}).exit_json(msg="WORD")
"""
# Says which program runs it.
ACTION = """
import sys
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"changed": False, "msg": sys.modules["__main__"].__file__.rpartition("/")[2]}
"""
TASKS: list[dict[str, Any]] = [
    {"say": {}, "register": "said"},
    {"where": {}, "register": "place"},
    {"debug": {"msg": "{{ said.msg }}, {{ lookup('ansible.builtin.env', 'KIND') }}, {{ place.msg }}"}},
    {"fail": {"msg": "not here"}},
]


def play(folder: Path, word: str, **settings: str) -> str:
    """Run a play that fails; return what it said."""
    (folder / "library").mkdir(parents=True)
    (folder / "action").mkdir()
    (folder / "library/say.py").write_text(MODULE.replace("WORD", word))
    (folder / "action/where.py").write_text(ACTION)
    plays.configure(folder, action_plugins=folder / "action", **settings)
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    plays.write_hosts(folder, {"app": {"hosts": {"app1": host}}}, {})
    (folder / "play.yml").write_text(json.dumps([{"hosts": "app", "gather_facts": False, "tasks": TASKS}]))
    done = plays.run(folder)
    assert (done.returncode, "not here" in done.stdout + done.stderr) == (2, True)
    return done.stdout


def test_each_run_has_its_own_plugins_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for word, kind in (("one", "first"), ("two", "second")):
        monkeypatch.setenv("KIND", kind)
        assert f'"{word}, {kind}, warm_start.py"' in play(tmp_path / word, word)


@pytest.mark.parametrize("setting", ["timeout", "inject_facts_as_vars"])
def test_a_setting_that_imports_have_used_starts_the_program(tmp_path: Path, setting: str) -> None:
    other = {"timeout": "11", "inject_facts_as_vars": "true"}[setting]
    assert '"one, , ansible-playbook"' in play(tmp_path, "one", **{setting: other})


def test_other_programs_get_its_output_and_exit_code(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text("- hosts: localhost\n  tasks: 1\n")
    command = ["ansible-playbook", "-i", "localhost,", "--syntax-check", "play.yml"]
    path = f"{warm_start.server().program()}:{os.environ['PATH']}"
    done, real = (
        subprocess.run(command, cwd=tmp_path, env={**os.environ, **more}, capture_output=True, text=True, check=False)
        for more in ({"PATH": path}, {})
    )
    assert (done.returncode, done.stdout, done.stderr) == (real.returncode, real.stdout, real.stderr)
    assert "[ERROR]" in done.stderr


def test_a_run_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_start, "LONGEST", 1)
    plays.configure(tmp_path)
    plays.write_hosts(tmp_path, {"app": {"hosts": {"app1": {}}}}, {})
    wait = {"pause": {"seconds": 3600}}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "app", "gather_facts": False, "tasks": [wait]}]))
    assert plays.run(tmp_path).returncode == -signal.SIGKILL
