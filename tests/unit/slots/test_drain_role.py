# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Before a slot is stopped: which edge hosts are asked, and what a deploy makes of one that does not answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from plays import ROOT

# Each host says what it has on disk, and how many are in blue; it notes for how long it was to wait.
SWITCH = """#!/usr/bin/python
import json
from ansible.module_utils.basic import AnsibleModule
NAMES = ("state", "site", "operation", "live", "deadline", "finish", "drain_timeout")
module = AnsibleModule({name: {"type": "raw"} for name in NAMES})
with open("FOLDER/asked", "a") as asked:
    asked.write(f"{module.params['drain_timeout']}\\n")
value = json.load(open("FOLDER/disks.json"))[module.params["site"]]
if value.startswith("refused"):
    module.fail_json(msg=value)
epoch, live = int(value.split(":")[0]), value.split(":")[1]
inside = {"blue": {"current": IN_BLUE}, "green": {"current": 0}}
answer = {"epoch": epoch, "highest_epoch": epoch, "live": live, "weight": 0, "operation": None, "phase": "idle"}
answer |= {"previous": ""}
answer |= {"state_lost": False, "running": True, "in_force": True, "disk": {"map": value}, "workers": []}
module.exit_json(connections=inside, **answer)
"""
IDLE = {"live": "green", "epoch": 7, "highest_epoch": 7, "weight": 0, "operation": None, "phase": "idle"}
# edge2 did not answer when the run began.
BEGAN = {**IDLE, "hosts": ["edge1"], "down": ["edge2"], "behind": []}
VARIABLES: dict[str, Any] = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    # The hosts are one machine: the name tells the module which of them it is.
    "environment_name": "{{ inventory_hostname }}",
    "environment_run": {"id": "run-1"},
    "environment_edge": BEGAN,
    "slot_live": "green",
    "slot_idle": "blue",
    "cutover_drain_seconds": 1,
}


def run(
    folder: Path, tasks: list[dict[str, Any]], disks: dict[str, str], in_blue: int = 0, **edge2: Any
) -> tuple[int, str]:
    """Run tasks on two edge hosts with these values on their disks; return the exit code and what was said."""
    (folder / "library").mkdir()
    (folder / "library/bluegreen_switch.py").write_text(
        SWITCH.replace("FOLDER", str(folder)).replace("IN_BLUE", str(in_blue))
    )
    (folder / "disks.json").write_text(json.dumps(disks))
    plays.configure(folder)
    plays.write_hosts(folder, {"edge": {"hosts": {"edge1": None, "edge2": edge2}}}, VARIABLES)
    play = {"hosts": "edge", "any_errors_fatal": True, "max_fail_percentage": 0, "gather_facts": False, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = plays.run(folder)
    return done.returncode, done.stdout + done.stderr


def drain(required: bool, seconds: int = 1) -> list[dict[str, Any]]:
    given = {"cutover_drain_required": required, "cutover_drain_seconds": seconds}
    role = {"ansible.builtin.include_role": {"name": "cutover", "tasks_from": "drain"}, "vars": given}
    return [{"name": "Drain", **role}, {"name": "Stop the slot", "ansible.builtin.debug": {"msg": "stopped"}}]


def test_a_refusal_is_reported_as_the_edge_host_says_it(tmp_path: Path) -> None:
    why = "refused: blue is live since 2026 (by greenroom-edge back on edge1), not green: the operation is over"
    ours = [{"name": "Ours", "ansible.builtin.set_fact": {"environment_edge": {**BEGAN, "operation": "run-1"}}}]
    code, said = run(tmp_path, ours + drain(required=False), {"edge1": why, "edge2": "7:green:-:0"})
    assert code != 0, said
    assert f"edge1: {why}" in " ".join(said.split())
    assert "stopped" not in said
    assert len((tmp_path / "asked").read_text().splitlines()) == 1, "a refusal is final"


def test_an_edge_host_that_is_back_is_asked_before_a_slot_is_stopped(tmp_path: Path) -> None:
    code, said = run(tmp_path, drain(required=True), {"edge1": "7:green:-:0", "edge2": "6:blue:-:0"})
    assert code != 0, said
    assert "blue may still get public traffic, so this run does not touch it: edge2, map on disk: 6:blue:-:0" in said


def test_one_that_has_caught_up_keeps_nothing_from_being_stopped(tmp_path: Path) -> None:
    code, said = run(tmp_path, drain(required=True), dict.fromkeys(("edge1", "edge2"), "7:green:-:0"))
    assert (code, said.count("stopped")) == (0, 2), said


def test_one_that_does_not_answer_keeps_a_slot_from_being_stopped(tmp_path: Path) -> None:
    away: dict[str, Any] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    code, said = run(tmp_path, drain(required=True), {"edge1": "7:green:-:0"}, **away)
    assert code != 0, said
    assert "stopped" not in said


def test_a_cut_over_asks_only_those_that_it_moved(tmp_path: Path) -> None:
    ours = {**BEGAN, "operation": "run-1", "phase": "live"}
    note = {"name": "Say what the edge says", "ansible.builtin.set_fact": {"cutover_status": ours}}
    code, said = run(tmp_path, [note, *drain(required=False)], {"edge1": "7:green:-:0"})
    assert (code, said.count("stopped")) == (0, 2), said


def test_a_run_that_the_edge_hosts_have_overruled_fails_with_their_reason(tmp_path: Path) -> None:
    """A laptop that slept in the bake: meanwhile, the watchdog has moved traffic back."""
    ours = {**BEGAN, "operation": "run-1", "phase": "live"}
    note = {"name": "Say what the edge says", "ansible.builtin.set_fact": {"cutover_status": ours}}
    refused = "refused: blue is live since 2026 (by greenroom-edge on edge1: green failed), not green"
    code, said = run(tmp_path, [note, *drain(required=False)], {"edge1": refused})
    assert code != 0, said
    assert refused in " ".join(said.split())
    assert "stopped" not in said


@pytest.mark.parametrize("down", [["edge2"], []])
def test_a_deploy_takes_no_slot_while_an_edge_host_does_not_answer(tmp_path: Path, down: list[str]) -> None:
    first = yaml.safe_load((ROOT / "roles/bundle/tasks/candidate.yml").read_text())[0]
    note = {"name": "Note", "ansible.builtin.set_fact": {"environment_edge": {**BEGAN, "down": down}}}
    code, said = run(tmp_path, [note, first], {})
    assert (code != 0) == bool(down), said
    assert ("edge2 does not respond and may still send public traffic to blue" in said) == bool(down)


@pytest.mark.parametrize(("seconds", "calls"), [(0, ["0"]), (2, ["2"]), (6, ["3", "3"])])
def test_a_slot_is_waited_for_as_long_as_was_said(tmp_path: Path, seconds: int, calls: list[str]) -> None:
    disks = dict.fromkeys(("edge1", "edge2"), "7:green:-:0")
    code, said = run(tmp_path, drain(required=True, seconds=seconds), disks, in_blue=1)
    assert code == 0, said
    assert f"are still open in blue after {seconds} s" in said
    assert sorted((tmp_path / "asked").read_text().split()) == sorted(2 * calls)
