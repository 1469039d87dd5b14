# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether a run was opened: without it, the project's roles change nothing, whatever the run's variables say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom.controller.common import opened
from plays import ROOT

from tests import warm_start

# What a run that is open has recorded.
RECORDED = {"environment_run": {"id": "1"}, "environment_edge": {"live": "blue"}, "keepalived_interface": "lo"}


class Role:
    """A role, as a task has it."""

    def __init__(self, path: Path) -> None:
        self._role_path = str(path)


class Task:
    """A task of a role, or of a playbook."""

    def __init__(self, role: Path | None) -> None:
        self._role = None if role is None else Role(role)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of a run."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("scratch")
def test_roles_of_the_project_need_an_open_run() -> None:
    task = Task(ROOT / "roles/firewall")
    with pytest.raises(AnsibleActionFail, match="this run was not opened"):
        opened.require(task)
    opened.mark()
    opened.require(task)


@pytest.mark.usefixtures("scratch")
def test_other_tasks_may_use_the_modules_freely(tmp_path: Path) -> None:
    opened.require(Task(None))
    opened.require(Task(tmp_path / "roles/firewall"))


def test_another_playbook_that_does_not_open_its_run_changes_nothing(tmp_path: Path) -> None:
    play = {"hosts": "edge", "gather_facts": False, "roles": ["keepalived"]}
    playbook = tmp_path / "own.yml"
    playbook.write_text(yaml.safe_dump([play]))
    given = ["-e", json.dumps(RECORDED), "-i", "inventories/staging", "-c", "local"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = warm_start.run([*given, str(playbook)], ROOT, environment)
    assert done.returncode != 0
    assert "this run was not opened" in done.stdout + done.stderr
    assert "changed=1" not in done.stdout


OPTIONS = {"start_at_task": "x", "step": True, "tags": ["edge"]}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_skip_tasks_are_refused_for_the_projects_playbooks(name: str) -> None:
    given = {name: OPTIONS[name]}
    word = f"--{name.replace('_', '-')} "
    for playbook in ("site.yml", "playbooks/cutover.yml"):
        assert opened.option_problem({"args": [str(ROOT / playbook)], **given}).startswith(word)
    assert opened.option_problem({"args": ["/elsewhere/site.yml"], **given}) == ""
    assert opened.option_problem(given) == ""


def test_usual_options_are_not_refused() -> None:
    usual = {"start_at_task": None, "step": False, "tags": ("all",), "skip_tags": ("notest",), "check": True}
    assert opened.option_problem({"args": [str(ROOT / "site.yml")], **usual}) == ""


def test_parts_of_playbooks_are_refused() -> None:
    assert "playbooks/steps" in opened.option_problem({"args": [str(ROOT / "playbooks/steps/cutover.yml")]})


def test_no_task_has_tags() -> None:
    """So --skip-tags skips nothing, and --tags would skip everything."""
    files = [ROOT / "site.yml", *ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("roles/*/tasks/**/*.yml")]
    assert len(files) > 50
    tagged = [path for path in files if "tags" in keys(yaml.safe_load(path.read_text()))]
    assert tagged == []


def keys(value: Any) -> set[str]:
    """All keys of mappings, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()
