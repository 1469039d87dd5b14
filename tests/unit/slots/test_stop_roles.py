# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The role slots, stop and start, with modules that only note their options; and where playbooks use them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from plays import ROOT

NOTE = """#!/usr/bin/python
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({name: {"type": "raw"} for name in OPTIONS}, supports_check_mode=True)
asked = {name: value for name, value in module.params.items() if value is not None}
with open("LOG", "a") as log:
    log.write(json.dumps(["NAME", asked]) + "\\n")
down = json.load(open("FOLDER/down.json"))
units = {unit["name"]: "started" for unit in asked.get("units", []) if unit["name"] in down}
module.exit_json(changed=bool(units), units=units)
"""
OPTIONS = {
    "template_tree": ["name", "state", "units", "files", "trees"],
    "slot_ready": ["containers", "seconds"],
}
PORTS = {"http": {"host": {"blue": 18000}}}
WEB = {"name": "web", "group": "app", "activation": "always", "ports": PORTS, "health": {"port": "http", "path": "/up"}}
JOBS: dict[str, Any] = {"name": "jobs", "group": "app", "activation": "live_only", "ports": {}, "health": None}
RUN = "20260101T120000Z-abcdef"
MOVED = {"operation": RUN, "epoch": 9, "live": "green", "weight": 0}
SLOTS = yaml.safe_load((ROOT / "playbooks/group_vars/all/slots.yml").read_text())
VARIABLES: dict[str, Any] = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "environment_name": "staging",
    "environment_address": "192.0.2.1",
    "environment_public_name": "portal.test",
    "environment_run": {"id": RUN},
    "edge_peers_port": 8406,
    "slot_live": "green",
    "slot_idle": "blue",
    **{name: SLOTS[name] for name in ("slot_started", "slot_stop_planned", "slot_schemas")},
    "slot_bundles": {"blue": {"slot": "blue", "hosts": {}, "services": {"web": WEB, "jobs": JOBS}}},
}


class Roles:
    """Runs roles of the project and returns what modules were asked for, as (module, options)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = folder / "plan.fact"
        # Whether the opening of the run has found a plan.
        self.planned = False
        self.down: list[str] = []
        self.output = ""
        (folder / "library").mkdir()
        for name, options in OPTIONS.items():
            text = NOTE.replace("OPTIONS", json.dumps(options)).replace("LOG", str(folder / "log"))
            (folder / f"library/{name}.py").write_text(text.replace("NAME", name).replace("FOLDER", str(folder)))
        plays.configure(folder)

    def run(
        self, entry: str, *options: str, cases: Sequence[dict[str, Any]] = ({},), fails: bool = False
    ) -> list[tuple[str, dict[str, Any]]]:
        """Run an entry point of the role once for each of `cases`, which are variables."""
        hosts = {group: {"hosts": {"one": None}} for group in ("edge", "app")}
        stops = ["one"] if self.planned else []
        plays.write_hosts(
            self.folder, hosts, VARIABLES | {"slot_stop_plan": str(self.plan), "environment_stops": stops}
        )
        (self.folder / "down.json").write_text(json.dumps(self.down))
        (self.folder / "log").write_text("")
        tasks: list[dict[str, Any]] = []
        for given in cases:
            role = {"name": "slots", "tasks_from": entry}
            status = {name: given.get(name, []) for name in ("cutover_status", "cutover_routed")}
            tasks.append({"name": "Say what the edge says", "ansible.builtin.set_fact": status})
            tasks.append({"name": "Run it", "ansible.builtin.include_role": role, "vars": given})
        play = {"hosts": "app", "gather_facts": False, "tasks": tasks}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        done = plays.run(self.folder, *options)
        self.output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, self.output
        return [tuple(json.loads(line)) for line in (self.folder / "log").read_text().splitlines()]


@pytest.fixture
def roles(tmp_path: Path) -> Roles:
    return Roles(tmp_path)


def test_a_stop_is_planned_for_the_slot_that_this_run_has_left(roles: Roles) -> None:
    [(module, asked)] = roles.run("stop", cases=[{"stop_after": "600", "cutover_status": MOVED}])
    assert (module, asked["name"]) == ("template_tree", "stop")
    [plan] = [json.loads(file["content"]) for file in asked["files"] if file["dest"] == str(roles.plan)]
    assert plan.pop("at") > "2026"
    assert plan == {
        "site": "staging",
        "slot": "blue",
        "epoch": 9,
        "units": ["jobs-blue.service", "web-blue.service"],
        "jobs": [],
        "edges": ["192.0.2.1"],
        "port": 8406,
        "public_name": "portal.test",
        "ca_file": "/etc/greenroom/ca.crt",
    }
    assert [unit["name"] for unit in asked["units"]] == ["greenroom-stop.service", "greenroom-stop.timer"]


def test_no_other_stop_is_planned(roles: Roles) -> None:
    cases: list[dict[str, Any]] = [
        {"cutover_status": MOVED},
        {"cutover_status": MOVED, "stop_after": -1},
        # The run has moved nobody; its share was taken back; there is nothing in the slot.
        {"stop_after": 0},
        {"cutover_status": {**MOVED, "operation": None}, "stop_after": 0},
        {"cutover_status": MOVED, "stop_after": 0, "slot_bundles": {}},
    ]
    # The control: the last one is planned.
    assert len(roles.run("stop", cases=[*cases, {"cutover_status": MOVED, "stop_after": 0}])) == 1


def test_no_stop_is_planned_while_an_old_worker_may_route_to_the_slot(roles: Roles) -> None:
    routed = ["edge1, worker 77: does not answer"]
    cases = [{"stop_after": 0, "cutover_status": MOVED, "cutover_routed": routed}]
    assert roles.run("stop", cases=cases, fails=True) == []
    assert "blue may still get public traffic, according to edge1, worker 77: does not answer" in roles.output


def test_a_slot_that_nobody_was_to_stop_is_left_alone(roles: Roles) -> None:
    roles.down = ["web-blue.service"]
    assert roles.run("start") == []


def test_a_slot_that_was_stopped_is_started_and_waited_for_before_the_plan_is_forgotten(roles: Roles) -> None:
    roles.planned = True
    roles.down = ["web-blue.service"]
    started, ready, forgotten = roles.run("start")
    states = [(unit["name"], unit["state"]) for unit in started[1]["units"]]
    timer = [("greenroom-stop.timer", "stopped"), ("greenroom-stop.service", "stopped")]
    assert states == [*timer, ("web-blue.service", "started")], "workers follow the live slot"
    [container] = ready[1]["containers"]
    assert (container["name"], container["port"], container["path"]) == ("web-blue", 18000, "/up")
    assert (forgotten[1]["name"], forgotten[1]["state"]) == ("stop", "absent")


def test_a_slot_that_is_still_up_is_only_kept_up(roles: Roles) -> None:
    roles.planned = True
    assert [asked.get("state") for _, asked in roles.run("start")] == [None, "absent"]


def test_a_slot_to_which_nothing_was_deployed_can_not_serve(roles: Roles) -> None:
    assert roles.run("start", cases=[{"slot_bundles": {"green": {}}}], fails=True) == []
    assert "blue has no release" in roles.output
    assert "deploy.yml -e release_name=" in roles.output


def test_a_check_run_waits_for_nothing(roles: Roles) -> None:
    roles.planned = True
    roles.down = ["web-blue.service"]
    assert {module for module, _ in roles.run("start", "--check")} == {"template_tree"}


def order(path: Path) -> list[str]:
    """The roles and entry points of a playbook's plays, in their order, with those of what it imports."""
    found: list[str] = []
    for play in yaml.safe_load(path.read_text()):
        imported = play.get("ansible.builtin.import_playbook")
        if imported:
            found += order(path.parent / imported)
        found += [role["role"] for role in play.get("roles", [])]
        calls = [task["ansible.builtin.import_role"] for task in play.get("tasks", [])]
        found += [f"{call['name']}.{call['tasks_from']}" for call in calls]
    return found


@pytest.mark.parametrize("name", ["cutover.yml", "rollback.yml"])
def test_a_slot_is_kept_up_before_anybody_is_sent_there_and_stopped_when_everything_is_over(name: str) -> None:
    roles = order(ROOT / "playbooks" / name)
    assert roles.index("slots.start") < roles.index("smoke") < roles.index("cutover")
    assert roles.index("cutover.drain") < roles.index("slots.stop")


def test_a_deploy_and_a_drill_call_a_stop_off_first() -> None:
    tasks = yaml.safe_load((ROOT / "roles/bundle/tasks/candidate.yml").read_text())
    names = [task.get("ansible.builtin.include_role", {}).get("tasks_from", task["name"]) for task in tasks]
    assert names.index("stop_cancel") < names.index("Write the candidate's bundle, or compare it with the live slot")
    assert order(ROOT / "playbooks/drill.yml") == ["environment", "slots.start", "drill"]
