# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Roll back and abort after a run that died, and beside a host that is dead: real module, real files, no proxy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from plays import DEAD, ROOT

SLOTS = yaml.safe_load((ROOT / "playbooks/group_vars/all/slots.yml").read_text())
ROLES = ("environment", "cutover", "canary")
OPENED = """
- hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - ansible.builtin.include_role: {name: environment, tasks_from: slots, public: true}
    - ansible.builtin.set_fact:
        environment_edge: "{{ __environment_edge | combine({'live': live} if live is defined else {}) }}"
        environment_notes: "{{ __environment_notes }}"
      run_once: true
- hosts: edge
  gather_facts: false
  any_errors_fatal: true
  tasks:
"""
ROLLBACK = f"""{OPENED}
    - ansible.builtin.include_role: {{name: cutover, tasks_from: find_previous}}
    - ansible.builtin.debug: {{msg: "back to {{{{ cutover_rollback_to }}}}"}}
"""
CUTOVER = f"""{OPENED}
    - ansible.builtin.include_role: {{name: cutover}}
"""
ABORT = """
- hosts: edge
  gather_facts: false
  any_errors_fatal: true
  max_fail_percentage: 0
  tasks:
    - ansible.builtin.import_role: {name: cutover, tasks_from: abort}
"""


class Edge:
    """One edge host, of files, and an ops host that keeps the notes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("action", "library", "connection", "group_vars"):
            (folder / name).mkdir()
        (folder / "connection/dead.py").write_text(DEAD)
        (folder / "action/environment_record.py").symlink_to(ROOT / "plugins/action/environment_record.py")
        shutil.copy(ROOT / "library/bluegreen_switch.py", folder / "library/bluegreen_switch.py")
        for role in ROLES:
            for path in (ROOT / "roles" / role).rglob("*.*"):
                self._copy(path, folder / path.relative_to(ROOT))
        (folder / "group_vars/all.yml").write_text(yaml.safe_dump(SLOTS | {"slot_record": str(folder / "live.json")}))
        own = {name: folder / path for name, path in (("roles_path", "roles"), ("action_plugins", "action"))}
        plays.configure(folder, **own, connection_plugins=folder / "connection")

    def _copy(self, path: Path, copy: Path) -> None:
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text()
        for place in ("/var/lib/greenroom/edge", "/var/lib/greenroom", "/etc/haproxy/maps", "/run/haproxy", "/run"):
            text = text.replace(f"{place}/", f"{self.folder}/").replace(f"{place}-", f"{self.folder}/")
        copy.write_text(text)

    def serves(
        self, live: str, phase: str, *, following: str = "", weight: int = 0, previous: str = "", bake: Any = None
    ) -> None:
        """Say what the edge host has on its disk, with an operation whose run died in this phase."""
        candidate = "blue" if live == "green" else "green"
        value = f"7:{live}:{candidate if weight else '-'}:{weight}"
        operation = {
            "id": "dead",
            "phase": phase,
            "before": f"6:{live}:-:0",
            "next": following or None,
            "deadline": 9999999999,
            "bake": bake,
        }
        state = {"site": "staging", "epoch": 7, "live": live, "weight": weight, "operation": operation}
        state |= ({"candidate": candidate} if weight else {}) | ({"previous": previous} if previous else {})
        (self.folder / "state.json").write_text(json.dumps(state))
        (self.folder / "live.map").write_text(f"staging {value}\n")

    def noted(self, **record: Any) -> None:
        """Say what lies off the edge."""
        (self.folder / "live.json").write_text(json.dumps(record) + "\n")

    def runs(self, play: str, *options: str, ops: str = "local", **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a play on it."""
        groups = {
            "edge": {"hosts": {"edge1": {"ansible_connection": "local"}}},
            "ops": {"hosts": {"ops1": {"ansible_connection": ops}}},
        }
        variables = {
            "ansible_python_interpreter": sys.executable,
            "environment_name": "staging",
            "environment_run": {"id": "new", "has": []},
            "environment_needs": ["lock", "slots"],
            "notify_wanted": False,
            **more,
        }
        plays.write_hosts(self.folder, groups, variables)
        # The module's files are those of this folder.
        files = {"state_file": "state.json", "map_file": "live.map", "socket": "admin.sock"}
        own = {name: str(self.folder / file) for name, file in {**files, "master_socket": "master.sock"}.items()}
        found = [{**each, "module_defaults": {"bluegreen_switch": own}} for each in yaml.safe_load(play)]
        (self.folder / "play.yml").write_text(yaml.safe_dump(found, sort_keys=False))
        return plays.run(self.folder, *options)


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


@pytest.mark.parametrize(
    "record",
    [{"live": "green", "epoch": 7}, {"live": "blue", "epoch": 8}],
    ids=["noted nothing", "noted its end"],
)
def test_the_next_run_completes_a_rollback_that_was_killed_before_its_switch(edge: Edge, record: Any) -> None:
    edge.serves("green", "prepared", following="8:blue:-:0:green", previous="blue")
    edge.noted(**record)
    done = edge.runs(ROLLBACK)
    assert "back to blue" in done.stdout, done.stdout + done.stderr


def test_a_rollback_aborts_only_the_canary_of_a_killed_run(edge: Edge) -> None:
    edge.serves("green", "canary", weight=25)
    edge.noted(live="green", epoch=7)
    done = edge.runs(ROLLBACK)
    assert "back to green" in done.stdout, done.stdout + done.stderr


def test_a_rollback_after_the_watchdogs_own_says_who_made_it(edge: Edge) -> None:
    by = "greenroom-edge on edge1: no run ended the bake, and green failed it"
    state = {"site": "staging", "epoch": 17, "live": "blue", "previous": "", "changed_at": "2026", "changed_by": by}
    (edge.folder / "state.json").write_text(json.dumps(state))
    (edge.folder / "live.map").write_text("staging 17:blue:-:0:-\n")
    edge.noted(live="green", epoch=7)
    done = edge.runs(ROLLBACK)
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert f"There is nothing to roll back to: blue is live again (since 2026, by {by})." in said, said


OPENING = f"""{OPENED}
    - ansible.builtin.debug: {{msg: "{{{{ environment_edge.live }}}} is live"}}
"""
FAILED = {"changed_at": "2026", "changed_by": "greenroom-edge on edge1: no run ended the bake, and green failed it"}


@pytest.mark.parametrize(
    ("verdict", "code", "said"),
    [
        ({}, 0, "The edge hosts have judged green now, and it stays live."),
        (
            {"epoch": 17, "live": "blue", "previous": "", **FAILED},
            2,
            "green has not passed it, so blue is live again (by greenroom-edge on edge1: no run ended the bake",
        ),
    ],
    ids=["passed", "failed"],
)
def test_the_next_run_waits_for_the_verdict_on_the_bake_of_a_dead_run(
    edge: Edge, verdict: dict[str, Any], code: int, said: str
) -> None:
    edge.serves("green", "live", previous="blue", bake={"limits": {}, "seconds": 600})
    edge.noted(live="green", epoch=7)

    def judge() -> None:
        """What the watchdog does, once the operation's time is over."""
        while (state := json.loads((edge.folder / "state.json").read_text()))["operation"].get("seconds") != -1:
            time.sleep(0.05)
        new = state | verdict | {"operation": None}
        (edge.folder / "new.json").write_text(json.dumps(new))
        (edge.folder / "live.map").write_text(f"staging {new['epoch']}:{new['live']}:-:0\n")
        (edge.folder / "new.json").rename(edge.folder / "state.json")

    watchdog = threading.Thread(target=judge, daemon=True)
    watchdog.start()
    done = edge.runs(OPENING)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in " ".join(done.stdout.split()), done.stdout


def test_a_rollback_does_not_wait_for_a_verdict(edge: Edge) -> None:
    edge.serves("green", "live", previous="blue", bake={"limits": {}, "seconds": 600})
    edge.noted(live="green", epoch=7)
    (given,) = [
        play["vars"]
        for play in yaml.safe_load((ROOT / "playbooks/rollback.yml").read_text())
        if "environment_bake_judged" in play.get("vars", {})
    ]
    done = edge.runs(ROLLBACK, environment_bake_judged=given["environment_bake_judged"])
    assert "back to blue" in done.stdout, done.stdout + done.stderr
    assert "green stays live without the verdict of a bake" in " ".join(done.stdout.split())


def test_check_mode_refuses_to_predict_the_end_of_an_operation(edge: Edge) -> None:
    edge.serves("green", "canary", weight=25)
    before = (edge.folder / "state.json").read_text()
    done = edge.runs(ROLLBACK, "--check")
    assert done.returncode != 0
    assert "dead is in progress (canary, until " in done.stdout, done.stdout + done.stderr
    assert (edge.folder / "state.json").read_text() == before


@pytest.mark.parametrize(("trace", "number"), [("", 8), ("staging 9:green:-:0\n", 10)], ids=["new host", "lost file"])
def test_an_operator_can_set_the_live_slot_after_the_state_is_lost(edge: Edge, trace: str, number: int) -> None:
    (edge.folder / "live.map").write_text(trace)
    edge.noted(live="green", epoch=7)
    refused = edge.runs(CUTOVER)
    assert "The edge has lost its record of the live slot" in refused.stdout, refused.stdout + refused.stderr
    done = edge.runs(CUTOVER, live="green", to="green")
    assert done.returncode == 0, done.stdout + done.stderr
    state = json.loads((edge.folder / "state.json").read_text())
    assert (state["live"], state["epoch"]) == ("green", number)


@pytest.mark.parametrize("ops", ["local", "dead"])
def test_an_abort_works_without_the_host_that_keeps_the_notes(edge: Edge, ops: str) -> None:
    edge.serves("green", "canary", weight=25)
    found = {"live": "green", "epoch": 7, "highest_epoch": 7, "weight": 25, "operation": "dead", "phase": "canary"}
    found |= {"before_live": "green", "hosts": ["edge1"], "down": [], "behind": []}
    done = edge.runs(ABORT, ops=ops, environment_edge=found)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((edge.folder / "state.json").read_text())["operation"] is None
    assert (edge.folder / "live.map").read_text().endswith("8:green:-:0\n")
