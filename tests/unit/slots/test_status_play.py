# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The playbook status.yml as a whole, with hosts that are imagined: some of them are dead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plays
import pytest
from ansible.module_utils.greenroom.controller.bundle import signature
from plays import DEAD, ROOT

# Each module says what stands in a file.
MODULE = """#!/usr/bin/python
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"state": {}, "site": {}}, supports_check_mode=True)
module.exit_json(**json.load(open("FILE")))
"""
# Takes all input for right.
VALIDATE = """
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"changed": False, "run": {"id": "20260101T120000Z-abcdef"}}
"""
# Writes down on which host it was to be held.
LOCK = """
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        with open("FOLDER/locks", "a") as file:
            file.write(f"{self._task.delegate_to}: {self._task.args['environment_name']}\\n")
        return {"changed": False}
"""
EDGE = {
    "live": "blue",
    "epoch": 7,
    "highest_epoch": 7,
    "candidate": None,
    "weight": 0,
    "previous": None,
    "value": "7:blue:-:0",
    "changed_at": "2026-01-31T12:00:00Z",
    "operation": None,
    "phase": "idle",
    "deadline": None,
    "state_lost": False,
    "running": True,
    "in_force": True,
    "disk": {"state": {"live": "blue", "epoch": 7}, "damage": "", "map": "7:blue:-:0"},
    "workers": [],
    "connections": {},
}
JOBS: dict[str, Any] = {
    **{"name": "jobs", "image": "jobs", "group": "app", "activation": "live_only", "database": None, "secrets": {}},
    **{"health": None, "metrics": None, "routes": [], "ports": {}},
}
BUNDLES: dict[str, dict[str, Any]] = {
    slot: {
        **{"slot": slot, "release": release, "id": letter * 64, "images": {"jobs": f"jobs@sha256:{'0' * 64}"}},
        **{"toggles": {}, "hosts": {}, "services": {"jobs": JOBS}, "checks": []},
    }
    for slot, release, letter in (("blue", "1.0", "a"), ("green", "1.1", "b"))
}
SECRET = "0123456789abcdefghijklmnopqrstuv"


# Prints what a file says, and nothing without it. Each unit that it is asked for has to be of a slot's bundle.
SYSTEMCTL = """#!/bin/sh
case "$*" in *" jobs-blue.service jobs-green.service") cat FOLDER/units;; *) echo "$*" >&2; exit 1;; esac
"""
UNIT = """\
Result=exit-code
NRestarts=12
Id=jobs-green.service
ActiveState=activating
SubState=auto-restart

NRestarts=0
Id=jobs-blue.service
ActiveState=active
SubState=running
"""


class Playbooks:
    """Runs playbooks of the project; all that hosts say are files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        podman = folder / "collections/ansible_collections/containers/podman/plugins/modules"
        places = ("action", "library", "connection", "playbooks/steps", "slots")
        for path in (podman, *(folder / place for place in places)):
            path.mkdir(parents=True)
        (podman / "podman_container_info.py").write_text(MODULE.replace("FILE", str(folder / "containers.json")))
        (folder / "library/bluegreen_switch.py").write_text(MODULE.replace("FILE", str(folder / "edge.json")))
        (folder / "library/edge_maintenance.py").write_text(MODULE.replace("FILE", str(folder / "maintenance.json")))
        (folder / "maintenance.json").write_text(json.dumps({"maintenance": {}}))
        (folder / "connection/dead.py").write_text(DEAD)
        (folder / "edge.json").write_text(json.dumps(EDGE))
        self.runs("jobs-blue")
        (folder / "bin").mkdir()
        (folder / "bin/systemctl").write_text(SYSTEMCTL.replace("FOLDER", str(folder)))
        (folder / "bin/systemctl").chmod(0o755)
        self.units(UNIT.replace("12", "0").replace("activating", "inactive").replace("auto-restart", "dead"))
        for slot, description in BUNDLES.items():
            (folder / f"slots/{slot}.fact").write_text(f"{json.dumps(description)}\n")
        for name in ("status.yml", "steps/open.yml"):
            (folder / "playbooks" / name).write_text((ROOT / "playbooks" / name).read_text())
        for place in ("playbooks/group_vars", "playbooks/steps/group_vars"):
            (folder / place).symlink_to(ROOT / "playbooks/group_vars")
        # What no run of these tests comes to has to be there, too.
        for path in (ROOT / "plugins/action").glob("environment_*.py"):
            (folder / "action" / path.name).symlink_to(path)
        (folder / "action/environment_validate.py").unlink()
        (folder / "action/environment_validate.py").write_text(VALIDATE)
        (folder / "action/environment_lock.py").unlink()
        (folder / "action/environment_lock.py").write_text(LOCK.replace("FOLDER", str(folder)))
        (folder / "roles").mkdir()
        for name in ("status", "secrets"):
            (folder / "roles" / name).symlink_to(ROOT / "roles" / name)
        self._environment()
        plays.configure(
            folder,
            roles_path=folder / "roles",
            action_plugins=folder / "action",
            connection_plugins=folder / "connection",
            collections_path=folder / "collections",
            callback_result_format="yaml",
        )

    def _environment(self) -> None:
        """The role that opens a run, but that bundles lie in this folder."""
        role = self.folder / "roles/environment"
        for path in sorted((ROOT / "roles/environment").rglob("*.yml")):
            copy = role / path.relative_to(ROOT / "roles/environment")
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text().replace("/etc/greenroom/slots", str(self.folder / "slots"))
            text = text.replace("/etc/greenroom/bundle-key", str(self.folder / "bundle-key"))
            copy.write_text(text.replace("/run/greenroom/lock.json", str(self.folder / "lock.json")))
        assert str(self.folder) in (role / "tasks/slots.yml").read_text()

    def runs(self, *names: str) -> None:
        """Say what runs on each app host."""
        found = [{"Name": name, "State": {"Status": "running"}} for name in names]
        (self.folder / "containers.json").write_text(json.dumps({"containers": found}))

    def units(self, text: str) -> None:
        """Say what systemd says on each app host."""
        (self.folder / "units").write_text(text)

    def signed(self, secret: str = SECRET) -> None:
        """Sign the bundles; edge hosts keep the key of the environment's secret."""
        (self.folder / "bundle-key.fact").write_text(signature.key_fact(SECRET))
        for slot, description in BUNDLES.items():
            file = signature.signed_file(description, f"slots/{slot}", secret)
            (self.folder / file["dest"]).write_text(file["content"])

    def play(self, playbook: str, *options: str, dead: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a playbook while some hosts are dead."""
        members = {"edge": ["edge1", "edge2"], "app": ["app1", "app2"], "ops": ["ops1"]}
        hosts = {
            host: {"ansible_connection": "dead" if host in dead else "local"}
            for names in members.values()
            for host in names
        }
        variables = {
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "environment_name": "staging",
            "slot_stop_plan": str(self.folder / "stop/plan.fact"),
        }
        groups = {group: {"hosts": {host: hosts[host] for host in names}} for group, names in members.items()}
        (self.folder / "hosts.yml").write_text(json.dumps({"staging": {"children": groups}}))
        return plays.run(self.folder, "-e", json.dumps(variables), *options, playbook=f"playbooks/{playbook}")


@pytest.fixture
def playbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playbooks:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return Playbooks(tmp_path)


def said(run: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of the summary, which is the last thing that is said."""
    assert run.returncode == 0, run.stdout + run.stderr
    _, _, summary = run.stdout.partition("TASK [status : Print which slot is live]")
    assert summary, run.stdout
    return [line.strip() for line in summary.splitlines()]


def test_who_serves_and_what_runs(playbooks: Playbooks) -> None:
    (playbooks.folder / "maintenance.json").write_text(json.dumps({"maintenance": {"*": "120", "shop": "60"}}))
    lines = said(playbooks.play("status.yml"))
    for line in ("live slot: blue", "release: '1.0'", "release: '1.1'", "app1: in order", "app2: in order"):
        assert line in lines
    maintenance = lines.index("maintenance:")
    assert lines[maintenance + 1 : maintenance + 3] == ["edge1: everything, shop", "edge2: everything, shop"]


@pytest.mark.parametrize("dead", [["app1"], ["app2"]])
def test_a_dead_app_host_is_named_and_all_else_is_told(playbooks: Playbooks, dead: list[str]) -> None:
    lines = said(playbooks.play("status.yml", dead=dead))
    (alive,) = {"app1", "app2"} - set(dead)
    # Among the hosts, and with each slot.
    assert lines.count(f"{dead[0]}: does not answer") == 3
    for line in ("live slot: blue", f"{alive}: in order", "- jobs-blue running", "release: '1.0'", "release: '1.1'"):
        assert line in lines


def test_without_any_app_host_the_edge_still_says_who_serves(playbooks: Playbooks) -> None:
    lines = said(playbooks.play("status.yml", dead=["app1", "app2"]))
    for line in ("live slot: blue", "app1: does not answer", "app2: does not answer", "blue: unknown"):
        assert line in lines
    assert "maintenance:" not in lines


def test_a_worker_beside_the_idle_slot_is_told_with_what_to_do(playbooks: Playbooks) -> None:
    playbooks.runs("jobs-green")
    lines = said(playbooks.play("status.yml"))
    assert lines.count("- jobs-green is running, but green is idle") == 2
    assert lines.count("- jobs-blue is not running, but blue is live") == 2
    assert any("playbooks/cutover.yml" in line for line in lines)


def test_a_slot_that_would_not_start_again_is_told_with_the_reason(playbooks: Playbooks) -> None:
    record = {"schema_of": "blue", "heads": {"shop": []}, "starts": False, "reason": "shop-blue ended with exit code 1"}
    (playbooks.folder / "slots/blue.schema").write_text(f"{json.dumps(record)}\n")
    lines = said(playbooks.play("status.yml"))
    assert lines.count("restart: 'would fail: shop-blue ended with exit code 1'") == 1


def test_a_service_that_crash_loops_is_told_on_each_host_that_answers(playbooks: Playbooks) -> None:
    playbooks.units(UNIT)
    text = " ".join(said(playbooks.play("status.yml", dead=["app2"])))
    assert "app1: - jobs-green.service is restarting" in text
    assert "jobs-green.service on app1: 12 restarts, now activating (auto-restart), last result exit-code;" in text
    assert "journalctl -u jobs-green.service on app1 says why" in text
    assert "app2: does not answer" in text
    assert "on app2" not in text


def test_without_an_answer_of_systemd_all_else_is_told(playbooks: Playbooks) -> None:
    (playbooks.folder / "units").unlink()
    lines = said(playbooks.play("status.yml"))
    assert lines.count("- 'systemd did not respond: it is unknown whether services crash'") == 2
    for line in ("live slot: blue", "- jobs-blue running", "release: '1.0'", "release: '1.1'"):
        assert line in lines


def test_each_slot_has_the_id_of_its_release(playbooks: Playbooks) -> None:
    lines = said(playbooks.play("status.yml", dead=["app1"]))
    assert f"release ID: {'a' * 12}" in lines
    assert f"release ID: {'b' * 12}" in lines


def test_a_live_slot_without_a_healthy_server_is_told_first(playbooks: Playbooks) -> None:
    down = {"healthy": False, "down": ["app1", "app2"]}
    health = {"blue": {"portal_http_blue": down}, "green": {}}
    (playbooks.folder / "edge.json").write_text(json.dumps(EDGE | {"health": health, "previous": "green"}))
    text = " ".join(said(playbooks.play("status.yml")))
    assert (
        "blue is live, but no server of portal_http_blue is healthy (seen by edge1, edge2): its requests fail" in text
    )
    assert "or run playbooks/rollback.yml: green, release 1.1, can serve" in text


def test_ops_hosts_and_who_holds_the_lock_are_told(playbooks: Playbooks) -> None:
    lines = said(playbooks.play("status.yml"))
    assert "lock: free" in lines
    assert "ops1: answers" in lines
    holder = {"id": "run-1", "user": "ada", "host": "desk", "pid": 4711, "playbook": "site.yml", "since": "now"}
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    (playbooks.folder / "lock.json").write_text(json.dumps({**holder, "renewed": uptime - 3600}))
    gone = " ".join(said(playbooks.play("status.yml")))
    who = "ada@desk (process 4711, site.yml, since now), run run-1"
    assert f"free: {who} ended without releasing it" in gone
    (playbooks.folder / "lock.json").write_text(json.dumps({**holder, "renewed": uptime}))
    # Without the host that keeps the lock, the edge hosts keep one each.
    held = said(playbooks.play("status.yml", "-e", "environment_lock_expire_seconds=86400", dead=["ops1"]))
    assert f"lock: held by {who}" in " ".join(held)
    assert "ops1: does not answer" in held


def test_a_planned_stop_and_what_came_of_it_are_told(playbooks: Playbooks) -> None:
    at = "2026-01-31T13:00:00Z"
    (playbooks.folder / "stop").mkdir()
    plan = {"slot": "green", "at": at, "units": ["jobs-green.service"]}
    (playbooks.folder / "stop/plan.fact").write_text(json.dumps(plan, indent=4) + "\n")
    assert said(playbooks.play("status.yml")).count(f"app1: planned for {at}") == 1
    (playbooks.folder / "stop/result.fact").write_text(json.dumps({"slot": "green", "at": at, "says": "stopped"}))
    assert said(playbooks.play("status.yml")).count(f"app2: stopped (planned for {at})") == 1


def test_a_host_that_answers_that_something_is_wrong_is_no_dead_one(playbooks: Playbooks) -> None:
    (playbooks.folder / "containers.json").write_text(json.dumps({"failed": True, "msg": "no podman"}))
    refused = playbooks.play("status.yml")
    assert refused.returncode != 0
    assert "no podman" in refused.stdout + refused.stderr


def test_no_other_run_is_opened_without_the_app_host_that_it_asks(playbooks: Playbooks) -> None:
    needs = ("-e", '{"environment_needs": ["slots"]}')
    opened = playbooks.play("steps/open.yml", *needs)
    assert opened.returncode == 0, opened.stdout + opened.stderr
    refused = playbooks.play("steps/open.yml", *needs, dead=["app1"])
    assert refused.returncode != 0
    assert "no route to host" in refused.stdout + refused.stderr
    assert "Record that the run is open" not in refused.stdout


def test_who_needs_the_edge_alone_asks_no_app_host(playbooks: Playbooks) -> None:
    opened = playbooks.play("steps/open.yml", "-e", '{"environment_needs": ["edges"]}', dead=["app1", "app2"])
    assert opened.returncode == 0, opened.stdout + opened.stderr
    assert "no route to host" not in opened.stdout + opened.stderr


WAY_BACK = ("-e", json.dumps({"environment_needs": ["lock", "slots"], "environment_dead_tolerated": True}))


def test_the_lock_is_on_the_ops_host_and_without_it_on_each_edge_host_that_answers(playbooks: Playbooks) -> None:
    locks = playbooks.folder / "locks"
    opened = playbooks.play("steps/open.yml", *WAY_BACK)
    assert opened.returncode == 0, opened.stdout + opened.stderr
    assert locks.read_text() == "ops1: staging\n"
    assert "continues without" not in opened.stdout
    locks.unlink()
    opened = playbooks.play("steps/open.yml", *WAY_BACK, dead=["ops1", "app2"])
    assert opened.returncode == 0, opened.stdout + opened.stderr
    # A name of its own for each: a run that has one of them does not have the others yet.
    assert locks.read_text() == "edge1: staging on edge1\nedge2: staging on edge2\n"
    assert "continues without the hosts that do not answer: ops1, app2" in " ".join(opened.stdout.split())


def test_without_any_edge_host_nobody_can_tell_which_slot_is_live(playbooks: Playbooks) -> None:
    refused = playbooks.play("steps/open.yml", *WAY_BACK, dead=["edge1", "edge2"])
    assert refused.returncode != 0
    assert "no edge host answers (edge1, edge2)" in " ".join((refused.stdout + refused.stderr).split())


def test_a_rollback_without_vault_takes_bundles_that_the_controller_signed(playbooks: Playbooks) -> None:
    playbooks.signed()
    opened = playbooks.play("steps/open.yml", *WAY_BACK, dead=["edge2"])
    assert opened.returncode == 0, opened.stdout + opened.stderr
    assert "Refuse bundles" not in opened.stdout


def test_a_bundle_that_an_app_host_changed_is_refused_and_status_still_says_who_serves(playbooks: Playbooks) -> None:
    playbooks.signed("another secret")
    refused = playbooks.play("steps/open.yml", *WAY_BACK)
    assert refused.returncode != 0
    text = " ".join((refused.stdout + refused.stderr).split())
    for part in ("app1: /etc/greenroom/slots/blue.fact has another content than the controller signed", "app2: "):
        assert part in text
    assert "run site.yml with -e sign_bundles=true" in text
    assert "run sudo greenroom-edge back on an edge host" in text
    shown = playbooks.play("status.yml")
    assert "live slot: blue" in said(shown)
    assert "app2: /etc/greenroom/slots/green.fact has another content" in " ".join(shown.stdout.split())


def test_without_vault_no_option_makes_a_changed_bundle_count(playbooks: Playbooks) -> None:
    playbooks.signed("another secret")
    refused = playbooks.play("steps/open.yml", *WAY_BACK, "-e", "sign_bundles=true")
    assert refused.returncode != 0


def test_with_vault_an_operator_signs_what_the_app_hosts_report(playbooks: Playbooks) -> None:
    playbooks.signed("another secret")
    values = ("-e", json.dumps({"secrets_values": {"environment/value/signing": {"value": SECRET}}}))
    assert playbooks.play("steps/open.yml", *WAY_BACK, *values).returncode != 0
    opened = playbooks.play("steps/open.yml", *WAY_BACK, *values, "-e", "sign_bundles=true")
    assert opened.returncode == 0, opened.stdout + opened.stderr
    assert playbooks.play("steps/open.yml", *WAY_BACK, *values).returncode == 0
    assert playbooks.play("steps/open.yml", *WAY_BACK).returncode == 0
