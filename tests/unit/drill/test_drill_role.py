# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The role drill as a whole, with its own playbook runs, in an environment that is imagined (imagined_module.py)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import warm_start

ROOT = Path(__file__).resolve().parents[3]
STAND_IN = Path(__file__).parents[1].joinpath("imagined_module.py").read_text()
CONFIG = """
[defaults]
roles_path = {root}/roles
library = {folder}/library
module_utils = {root}/plugins/module_utils
action_plugins = {folder}/action
filter_plugins = {root}/plugins/filter
vars_plugins = {root}/plugins/vars
vars_plugins_enabled = host_group_vars,catalogue
collections_path = {folder}/collections
interpreter_python = auto_silent
localhost_warning = false
""" + "".join(f"{name} = {value}\n" for name, value in warm_start.SETTINGS.items())
BUNDLE = {"services": {"shop": {"group": "app", "routes": [{"path": "/"}], "load": {}}}}
VARIABLES = {
    "ansible_connection": "local",
    "ansible_become": False,
    "environment_name": "staging",
    "environment_protected": False,
    "environment_public_url": "https://shop.invalid",
    "environment_edge_trust": "/etc/greenroom/ca.crt",
    "environment_public_name": "shop.invalid",
    "environment_public_address": "192.0.2.1",
    "secrets_values": {"environment/value/smoke": {"value": "-"}},
    "edge_visitors_only": True,
    "environment_run": {"id": "20260101T120000Z-abcdef"},
    "environment_record_host": "one",
    "keepalived_address": "192.0.2.1",
    "slot_live": "blue",
    "slot_idle": "green",
    "slot_bundles": {"blue": {"release": "1.0", **BUNDLE}, "green": {"release": "1.1", **BUNDLE}},
    "drill_image": "visitors",
    "drill_pause_seconds": 1,
    "drill_recovery_seconds": 1,
    "drill_canary_seconds": 5,
    "cutover_bake_seconds": 0,
}


class Imagined:
    """An environment of one host and one file, and a checkout to run playbooks from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_file = folder / "state.json"
        self.state_file.write_text(
            json.dumps({"live": "blue", "epoch": 7, "phase": "idle", "deadline": 0, "broken": [], "lock": "held"})
        )
        modules = folder / "collections/ansible_collections/containers/podman/plugins/modules"
        for place in (modules, folder / "library", folder / "action", folder / "playbooks"):
            place.mkdir(parents=True)
        for name in ("bluegreen_switch", "drill_fault", "environment_lock", "template_tree", "smoke_check", "imagined"):
            (folder / f"library/{name}.py").write_text(STAND_IN.replace('"NAME"', f'"{name}"'))
        (modules / "podman_container.py").write_text(STAND_IN.replace('"NAME"', '"podman_container"'))
        for name in ("drill_run", "drill_report"):
            shutil.copy(ROOT / f"plugins/action/{name}.py", folder / "action")
        (folder / "ansible.cfg").write_text(CONFIG.format(root=ROOT, folder=folder))
        hosts = {"hosts": {"one": VARIABLES}}
        groups = dict.fromkeys(("edge", "app", "data", "ops"), hosts)
        (folder / "hosts.yml").write_text(json.dumps({"staging": {"children": groups}}))
        play = yaml.safe_load((ROOT / "playbooks/drill.yml").read_text())[-1]
        (folder / "playbooks/drill.yml").write_text(yaml.safe_dump([play]))
        for verb in ("cutover", "rollback", "abort"):
            task = {"name": "Do it", "imagined": {"verb": verb, "canary": "{{ canary | default('') }}"}}
            run = {"name": "Do it", "hosts": "ops", "gather_facts": False, "tasks": [task]}
            (folder / f"playbooks/{verb}.yml").write_text(yaml.safe_dump([run]))

    def state(self) -> dict[str, Any]:
        """What the environment is like."""
        found: dict[str, Any] = json.loads(self.state_file.read_text())
        return found

    def drill(self, fault: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Hold a drill."""
        variables = {"fault": fault, "__drill_folder": str(self.folder / "load"), "drill_reports": str(self.folder)}
        return warm_start.run(
            ["-i", "hosts.yml", "playbooks/drill.yml", "-e", json.dumps(variables), *options],
            self.folder,
            {
                **os.environ,
                "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
                "GREENROOM_IMAGINED": str(self.state_file),
            },
        )

    def result(self) -> dict[str, Any]:
        """The result of the drill."""
        found: dict[str, Any] = json.loads((self.report() / "result.json").read_text())
        return found

    def report(self) -> Path:
        """The folder of its report."""
        return self.folder / "drill-20260101T120000Z-abcdef"


@pytest.fixture
def imagined(tmp_path: Path) -> Imagined:
    return Imagined(tmp_path)


def is_as_it_was(environment: Imagined) -> bool:
    state = environment.state()
    return (state["live"], state["phase"], state["broken"], "load" in state) == ("blue", "idle", [], False)


def test_a_candidate_that_is_unhealthy_is_refused_and_mended(imagined: Imagined) -> None:
    done = imagined.drill("candidate-unhealthy")
    assert done.returncode == 0, done.stdout + done.stderr
    result = imagined.result()
    assert result["verdict"] == "pass"
    assert [run["name"] for run in result["children"]] == ["cutover"]
    assert "shop-green is not ready" in result["children"][0]["said"]
    assert result["faults"][0]["units"] == ["shop-green.service"]
    assert result["figures"]["lost"] == 0 < result["figures"]["sent"]
    assert is_as_it_was(imagined)
    page = (imagined.report() / "report.html").read_text()
    assert "PASSED" in page
    assert {"cutover.log", "requests.jsonl"} <= {path.name for path in imagined.report().iterdir()}


def test_an_operator_who_is_killed_in_mid_air_leaves_all_as_it_was(imagined: Imagined) -> None:
    done = imagined.drill("operator-killed")
    assert done.returncode == 0, done.stdout + done.stderr
    result = imagined.result()
    assert result["verdict"] == "pass"
    (run,) = result["children"]
    assert run["code"] == -9
    assert run["arguments"][1:4] == ["to=green", "-e", "canary=25"]
    assert is_as_it_was(imagined)


def test_what_fails_after_the_cut_over_is_rolled_back(imagined: Imagined) -> None:
    done = imagined.drill("fails-after-cutover")
    assert done.returncode == 0, done.stdout + done.stderr
    result = imagined.result()
    assert [run["name"] for run in result["children"]] == ["cutover", "rollback"]
    assert result["figures"]["lost"] > 0 == result["figures"]["lost_outside"]
    assert is_as_it_was(imagined)


def test_a_previous_slot_that_does_not_start_is_no_way_back_until_it_does(imagined: Imagined) -> None:
    done = imagined.drill("previous-does-not-start")
    assert done.returncode == 0, done.stdout + done.stderr
    result = imagined.result()
    assert result["verdict"] == "pass"
    assert [run["name"] for run in result["children"]] == ["cutover", "early-rollback", "rollback"]
    assert result["children"][1]["said"] == "blue has no healthy server of shop"
    assert result["faults"][0]["units"] == ["shop-blue.service"]
    assert result["figures"]["lost"] == 0 < result["figures"]["sent"]
    # On the way back it was waited for, through the edge.
    assert imagined.state()["waited"] == {"/": "blue"}
    assert is_as_it_was(imagined)


def test_a_drill_that_does_not_end_as_it_should_fails_and_says_why(imagined: Imagined) -> None:
    """The control: here nobody can go back."""
    (imagined.folder / "playbooks/rollback.yml").write_text("- hosts: ops\n  tasks: [{fail: {msg: it is not there}}]\n")
    done = imagined.drill("none")
    assert done.returncode != 0
    assert imagined.result()["verdict"] == "fail"
    assert "the rollback: expected done, found refused: it is not there" in done.stdout
    assert "live slot on all edge hosts at the end: expected blue, found one: green, idle" in done.stdout


def test_a_drill_that_can_not_go_on_undoes_what_it_broke_and_tells(imagined: Imagined) -> None:
    """As soon as green is live nobody can say what the edge serves: neither on the way nor at the end."""
    imagined.state_file.write_text(json.dumps(imagined.state() | {"silent": "green"}))
    done = imagined.drill("fails-after-cutover")
    assert done.returncode != 0
    result = imagined.result()
    assert result["verdict"] == "fail"
    assert "HAProxy does not answer" in result["trouble"]
    assert "the drill runs to its end: expected yes, found Wait for the edge to end an operation" in done.stdout
    assert (imagined.state()["broken"], "load" in imagined.state()) == ([], False)


def test_the_load_ends_though_what_was_broken_stays_so(imagined: Imagined) -> None:
    imagined.state_file.write_text(json.dumps(imagined.state() | {"stuck": True}))
    done = imagined.drill("candidate-unhealthy")
    assert done.returncode != 0
    assert "the host does not answer" in done.stdout
    assert (imagined.state()["broken"], "load" in imagined.state()) == (["shop-green.service"], False)


def test_a_service_that_is_not_there_is_refused(imagined: Imagined) -> None:
    done = imagined.drill("fails-after-cutover", "-e", "drill_service=shpo")
    assert done.returncode != 0
    assert "The drill was not started: drill_service: the slot has no service shpo." in done.stdout, done.stdout
    assert not imagined.report().exists()


def test_a_long_cut_over_is_given_its_time_and_shares_may_be_a_list(imagined: Imagined) -> None:
    options = {"canary": [5, 25], "drill_canary_seconds": 300, "cutover_bake_seconds": 60, "cutover_drain_seconds": 90}
    done = imagined.drill("operator-killed", "-e", json.dumps(options))
    assert done.returncode == 0, done.stdout + done.stderr
    assert imagined.result()["children"][0]["arguments"][3] == "canary=5,25"
    command = imagined.state()["command"]
    # The playbook's 600 s, what it watches and waits for, and 1200 s for the way back.
    assert command[command.index("--seconds") + 1] == str(600 + 2 * 300 + 60 + 90 + 1200)


def test_a_drill_of_nothing_known_is_refused(imagined: Imagined) -> None:
    done = imagined.drill("power-cut")
    assert done.returncode != 0
    refusal = "The drill was not started: there is no fault 'power-cut'; choose one of none, candidate-unhealthy"
    assert refusal in done.stdout
    assert not imagined.report().exists()
