# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A task's process collects the variables of a host once; the main process does so each time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.controller.common.kept_hostvars import wrap

from tests import warm_start

ROOT = Path(__file__).resolve().parents[3]


class Processes:
    """Which process asks, and how often variables were collected."""

    def __init__(self) -> None:
        self.current = 1
        self.collected: list[object] = []
        outer = self

        class HostVars:
            def raw_get(self, host_name: object) -> object:
                outer.collected.append(host_name)
                return {"number": len(outer.collected)} if host_name == "app1" else None

        wrap(HostVars, lambda: self.current)
        self.hostvars = HostVars()


@pytest.fixture
def processes() -> Processes:
    return Processes()


def test_a_tasks_process_collects_once(processes: Processes) -> None:
    processes.current = 2
    assert [processes.hostvars.raw_get("app1") for _ in range(3)] == [{"number": 1}] * 3
    assert processes.collected == ["app1"]


def test_the_main_process_keeps_nothing(processes: Processes) -> None:
    assert [processes.hostvars.raw_get("app1") for _ in range(2)] == [{"number": 1}, {"number": 2}]


def test_a_host_that_is_missing_is_not_kept(processes: Processes) -> None:
    processes.current = 2
    for name in ("app9", None):
        assert [processes.hostvars.raw_get(name) for _ in range(2)] == [None, None]
    assert len(processes.collected) == 4


PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Set a value on each host
      ansible.builtin.set_fact:
        number: "{{ groups['all'].index(inventory_hostname) }}"
    - name: Change it on the first host, by what the others have
      ansible.builtin.set_fact:
        number: "{{ groups['all'] | map('extract', hostvars, 'number') | map('int') | sum + 10 }}"
      when: inventory_hostname == 'app1'
    - name: Add to it, item by item
      ansible.builtin.set_fact:
        total: "{{ total | default(0) | int + hostvars[item].number | int }}"
      loop: "{{ groups['all'] }}"
    - name: Say what each host sees
      ansible.builtin.debug:
        msg: "sees {{ hostvars['app1'].number }} {{ hostvars['app2'].number }} {{ hostvars['app2'].total }}"
"""


def test_the_next_task_sees_what_the_last_one_changed(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    local = {"ansible_connection": "local"}
    hosts = {"all": {"hosts": {"app1": local, "app2": local}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(hosts))
    words = ["-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml")]
    settings = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = warm_start.run(words, ROOT, {**os.environ, **settings})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("sees 11 1 12") == 2, done.stdout
