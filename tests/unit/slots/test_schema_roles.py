# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A release that would not start again on the migrated databases: a deploy says so, and nothing stops its slot."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from ansible.module_utils.greenroom.controller.bundle import schema
from plays import ROOT

# Notes its options, and answers with what stands in answers.json for it.
NOTE = """#!/usr/bin/python
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({name: {"type": "raw"} for name in OPTIONS}, supports_check_mode=True)
asked = {name: value for name, value in module.params.items() if value is not None}
with open("FOLDER/log", "a") as log:
    log.write(json.dumps(["NAME", asked]) + "\\n")
module.exit_json(changed=False, **json.load(open("FOLDER/answers.json")).get("NAME", {}))
"""
OPTIONS = {
    "template_tree": ["name", "state", "apply", "units", "files", "roles"],
    "slot_ready": ["containers", "seconds"],
    "postgres_databases": ["ask", "ask_strictly", "server", "databases", "lock_timeouts", "unfinished_indexes"],
    "slot_trial": ["containers", "seconds"],
    # Only has to be there.
    "identity_seed": [],
}
# Says that a unit is down if there is a file with the name of the host and the unit.
SYSTEMCTL = """#!/bin/sh
shift
for unit; do [ -e "FOLDER/$ON_HOST $unit" ] && echo failed || echo active; done
"""
# Becomes nobody else.
SUDO = """#!/bin/sh
while [ "$1" != /bin/sh ]; do shift; done
exec "$@"
"""
PORTS = {"http": {"container": 8080, "host": {"blue": 18080, "green": 28080}}}
SHOP: dict[str, Any] = {
    **{"name": "shop", "group": "app", "activation": "always", "image": "shop", "ports": PORTS, "database": "shop"},
    **{
        "health": {"port": "http", "path": "/up"},
        "secrets": {"URL": {"kind": "login", "name": "shop", "owner": "shop"}},
        "routes": [],
    },
}
KEYS: dict[str, Any] = {"heads": "SELECT version", "migrate": [], "prepare": [], "seed": [], "identities": None}
CATALOGUE = {"shop": {**SHOP, **KEYS}}
BUNDLES = {
    slot: {
        "slot": slot,
        "release": release,
        "hosts": {},
        "images": {"shop": f"shop@{release}"},
        "services": {"shop": SHOP},
    }
    for slot, release in (("blue", "1.0"), ("green", "1.1"))
}
OLD, NEW = ({"shop": [{"version": number}]} for number in (4, 5))
REASON = "ended with exit code 1: schema 5 is newer than 4"
REFUSED = [{"name": "shop-blue", "starts": False, "reason": REASON}]
WARNING = f"Release 1.0 in blue does not start on the present database schema (shop-blue {REASON})."
SLOTS = yaml.safe_load((ROOT / "playbooks/group_vars/all/slots.yml").read_text())
VARIABLES: dict[str, Any] = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "ansible_become": False,
    "ansible_pipelining": True,
    "environment_name": "staging",
    "environment_run": {"id": "20260101T120000Z-abcdef"},
    "environment_address": "192.0.2.1",
    "environment_public_name": "portal.test",
    "edge_peers_port": 8406,
    "database_manager": "data1",
    "database_server": {},
    "pgbackrest_wanted": False,
    "database_ca_file": "",
    "environment_hooks": {},
    "environment_sizes": {},
    "slot_bundles": BUNDLES,
    "slot_live": "blue",
    "slot_idle": "green",
    "slot_outdated": False,
    "slot_compared": False,
    **{name: SLOTS[name] for name in ("slot_schemas", "slot_started", "slot_stop_planned", "slot_stop_plan")},
}


class Roles:
    """Runs roles of the project on two app hosts, and returns what modules were asked for, as (module, options)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = ""
        self.answers: dict[str, Any] = {
            "postgres_databases": {"answers": NEW},
            "slot_trial": {"tried": REFUSED},
            "template_tree": {"units": {}},
        }
        (folder / "library").mkdir()
        for name, options in OPTIONS.items():
            text = NOTE.replace("OPTIONS", json.dumps(options)).replace("FOLDER", str(folder))
            (folder / f"library/{name}.py").write_text(text.replace("NAME", name))
        (folder / "bin").mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("sudo", SUDO)):
            (folder / "bin" / name).write_text(text.replace("FOLDER", str(folder)))
            (folder / "bin" / name).chmod(0o755)
        plays.configure(folder)

    def run(
        self, tasks: list[dict[str, Any]], *options: str, fails: bool = False, **given: Any
    ) -> list[tuple[str, dict[str, Any]]]:
        """Run tasks on the app hosts."""
        groups = {"app": ["app1", "app2"], "data": ["data1"], "edge": ["edge1"], "deploying": ["app1", "app2"]}
        children = {group: {"hosts": dict.fromkeys(hosts)} for group, hosts in groups.items()}
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        # The project's own catalog would replace one of the inventory.
        more: dict[str, Any] = {"vars": {"catalogue": given.pop("catalogue", CATALOGUE)}}
        more |= {"environment": {"PATH": path, "ON_HOST": "{{ inventory_hostname }}"}}
        plays.write_hosts(self.folder, children, VARIABLES | {"ansible_become_exe": f"{self.folder}/bin/sudo"} | given)
        (self.folder / "answers.json").write_text(json.dumps(self.answers))
        (self.folder / "log").write_text("")
        play = {"hosts": "app", "gather_facts": False, "any_errors_fatal": True, "tasks": tasks, **more}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        done = plays.run(self.folder, *options)
        self.output = " ".join((done.stdout + done.stderr).split())
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return [tuple(json.loads(line)) for line in (self.folder / "log").read_text().splitlines()]

    def down(self, unit: str, *hosts: str) -> None:
        """Say that a unit doesn't run on these hosts."""
        for host in hosts:
            (self.folder / f"{host} {unit}").touch()


@pytest.fixture
def roles(tmp_path: Path) -> Roles:
    return Roles(tmp_path)


def role(name: str, entry: str) -> dict[str, Any]:
    return {"name": entry, "ansible.builtin.include_role": {"name": name, "tasks_from": entry}}


def deploy() -> list[dict[str, Any]]:
    """What a deploy does from the migrations on; nothing is known of the candidate yet."""
    void = {"name": "Void", "ansible.builtin.set_fact": {"bundle_schemas": {"green": {}}}}
    said = {"msg": "would fail: {{ slot_schemas | bundle_not_starting | join(', ') }}."}
    return [void, role("bundle", "migrate"), role("bundle", "finish"), {"name": "Say", "ansible.builtin.debug": said}]


def written(calls: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """The records of slots that were written, each with the number of hosts."""
    files = [file for name, asked in calls if name == "template_tree" for file in asked["files"]]
    texts = [file["content"] for file in files]
    return {
        Path(file["dest"]).name: (json.loads(file["content"]), texts.count(file["content"]))
        for file in files
    }  # fmt: skip


BLUE = schema.record("blue", NEW, REFUSED)
GREEN = schema.record("green", NEW)


# A deploy


NOT_READY = {"unit": "shop-green.service", "ready": False, "output": "", "journal": ["no disk", "key seed-key refused"]}
ENDED = "its program ended 3 times, the last time with exit status 1"


def test_a_deploy_waits_for_the_candidate_as_long_as_each_service_says(roles: Roles) -> None:
    slow = SHOP | {"health": SHOP["health"] | {"start_period": 600}}
    given: dict[str, Any] = {
        "catalogue": {"shop": {**slow, **KEYS}},
        "slot_imagined": False,
        "bundle_ready_seconds": 45,
    }
    calls = roles.run([role("bundle", "start")], **given)
    asked = [options for name, options in calls if name == "slot_ready"]
    assert [options["seconds"] for options in asked] == [45, 45]
    for options in asked:
        [container] = options["containers"]
        wanted = {"name": "shop-green", "kind": "http", "port": 28080, "path": "/up", "seconds": 600}
        assert container | wanted == container


def test_a_deploy_fails_with_the_last_words_of_a_service_that_is_not_ready(roles: Roles) -> None:
    roles.answers["slot_ready"] = {"containers": [NOT_READY | {"reason": ENDED}]}
    secrets = {"shop/ring/keys": {"values": "seed-key"}}
    roles.run([role("bundle", "start")], fails=True, slot_imagined=False, secrets_values=secrets)
    assert f"shop-green.service: {ENDED}" in roles.output
    assert "The last lines of shop-green.service: no disk key *** refused" in " ".join(roles.output.split())


def test_a_rollback_without_secrets_shows_no_log_line(roles: Roles) -> None:
    roles.answers["slot_ready"] = {"containers": [NOT_READY | {"reason": ENDED}]}
    roles.answers["template_tree"] = {"units": {"shop-green.service": "started"}}
    roles.run([role("slots", "start")], fails=True, environment_stops=["app1", "app2"])
    assert f"shop-green.service: {ENDED}; journalctl -u shop-green.service on this host says more" in roles.output
    assert "seed-key" not in roles.output


def test_a_deploy_says_that_the_live_release_would_not_start_again_and_goes_on(roles: Roles) -> None:
    known = {"blue": schema.record("blue", OLD)}
    calls = roles.run(deploy(), environment_schemas=known)
    [(_, query)] = [call for call in calls if call[0] == "postgres_databases"]
    assert query["ask"] == {"shop": "SELECT version"}
    [(_, trial)] = [call for call in calls if call[0] == "slot_trial"]
    [container] = trial["containers"]
    assert (container["name"], container["image"], container["port"]) == ("shop-blue", "shop@1.0", 8080)
    # Asked as a visitor would.
    headers = {"Host": "portal.test", "X-Forwarded-Proto": "https"}
    health = {"kind": "http", "method": "GET", "path": "/up", "headers": headers, "status": 200}
    assert {key: container[key] for key in health} == health
    assert WARNING in roles.output
    assert written(calls) == {"blue.schema": (BLUE, 2), "green.schema": (GREEN, 2)}
    trees = [asked["name"] for name, asked in calls if name == "template_tree"]
    assert trees == ["deploy-blue"] * 2 + ["deploy-green"] * 2
    # The rest of the run knows it.
    assert "would fail: blue." in roles.output


def test_a_deploy_without_a_migration_tries_nothing(roles: Roles) -> None:
    calls = roles.run(deploy(), environment_schemas={"blue": schema.record("blue", NEW)})
    assert [name for name, _ in calls] == ["postgres_databases", "template_tree", "template_tree"]
    assert written(calls) == {"green.schema": (GREEN, 2)}


def test_a_live_release_that_starts_is_recorded_and_nothing_is_said(roles: Roles) -> None:
    roles.answers["slot_trial"] = {"tried": [{"name": "shop-blue", "starts": True, "reason": ""}]}
    calls = roles.run(deploy())
    assert written(calls)["blue.schema"] == (schema.record("blue", NEW), 2)
    assert "Release 1.0" not in roles.output


def test_a_live_release_that_can_not_be_tried_is_told_and_tried_again_the_next_time(roles: Roles) -> None:
    roles.answers["slot_trial"] = {"tried": [{"name": "shop-blue", "starts": None, "reason": "it is not running"}]}
    calls = roles.run(deploy(), environment_schemas={"blue": schema.record("blue", OLD)})
    assert set(written(calls)) == {"green.schema"}
    # Without files, the old record is removed.
    assert [asked["files"] for name, asked in calls if asked.get("name") == "deploy-blue"] == [[], []]
    assert "Can't tell whether release 1.0 in blue would start again" in roles.output
    assert "shop-blue: it is not running" in roles.output


def test_a_first_deploy_has_no_release_to_try(roles: Roles) -> None:
    calls = roles.run(deploy(), slot_live=None, slot_bundles={})
    assert "slot_trial" not in [name for name, _ in calls]
    assert written(calls) == {"green.schema": (GREEN, 2)}


def test_in_check_mode_nothing_has_migrated(roles: Roles) -> None:
    assert {name for name, _ in roles.run(deploy(), "--check")} == {"template_tree"}


# What the seeding takes from a deploy

SEED: dict[str, Any] = {"seed_set": "people", "seed_seed": "1", "bundle_heads": {"answers": NEW}}


@pytest.mark.parametrize(("migrate", "asked"), [(["migrate"], []), ([], ["postgres_databases"])])
def test_a_schema_is_not_asked_for_again_if_no_start_can_change_it(
    roles: Roles, migrate: list[str], asked: list[str]
) -> None:
    catalogue = {"shop": CATALOGUE["shop"] | {"seed": ["seed"], "migrate": migrate}}
    tasks = [role("seed", "present") | {"run_once": True}]
    calls = roles.run(tasks, catalogue=catalogue, **SEED)
    assert [name for name, _ in calls] == [*asked, "template_tree"]
    [(_, record)] = [call for call in calls if call[0] == "template_tree"]
    assert json.loads(record["files"][0]["content"])["heads"] == NEW["shop"]


# What would stop the slot

BOTH = {"blue": BLUE, "green": GREEN}
NOW_GREEN: dict[str, Any] = {"slot_live": "green", "slot_idle": "blue", "environment_schemas": BOTH}
REFUSAL = "Refuse to deploy over a previous slot that would not start again"


def refusal() -> dict[str, Any]:
    """The task that refuses a deploy, which comes before any that touches a host."""
    tasks = yaml.safe_load((ROOT / "roles/bundle/tasks/candidate.yml").read_text())
    names = [task["name"] for task in tasks]
    assert names.index(REFUSAL) < names.index("Pull the images, and find out what won't fit")
    found: dict[str, Any] = tasks[names.index(REFUSAL)]
    return found


def test_a_deploy_takes_no_slot_that_would_not_come_back(roles: Roles) -> None:
    roles.run([refusal()], fails=True, **NOW_GREEN, environment_edge={"previous": "blue"})
    refused = f"Nothing was deployed: a deploy stops blue, to which a rollback from green would go. {WARNING}"
    assert refused in roles.output
    assert "-e keep_old=false" in roles.output


def test_a_deploy_takes_any_other_slot(roles: Roles) -> None:
    cases: list[dict[str, Any]] = [
        {"keep_old": "false"},
        # It was never live, or is not the previous slot any more.
        {"environment_edge": {"previous": ""}},
        {"environment_edge": {}},
        {"environment_schemas": {"blue": schema.record("blue", NEW)}},
        {"environment_schemas": {}},
    ]
    tasks = [refusal() | {"vars": given} for given in cases]
    roles.run(tasks, **NOW_GREEN, environment_edge={"previous": "blue"})
    assert roles.output.count("skipping: [app1]") == len(cases)


CUT_OVER: dict[str, Any] = {"environment_schemas": BOTH, "slots_start_slot": "green"}


def test_a_cutover_says_beforehand_what_it_leaves_and_plans_no_stop_of_it(roles: Roles) -> None:
    assert roles.run([role("slots", "start")], fails=True, **CUT_OVER, stop_after="1800") == []
    assert f"No traffic was moved: stop_after would stop blue. {WARNING}" in roles.output


def test_a_cutover_that_leaves_it_running_only_says_so(roles: Roles) -> None:
    cases: list[dict[str, Any]] = [{}, {"stop_after": -1}, {"stop_after": "0", "keep_old": "false"}]
    tasks = [role("slots", "start") | {"vars": given} for given in cases]
    assert roles.run(tasks, **CUT_OVER) == []
    assert roles.output.count(WARNING) == len(cases)


def test_a_run_that_deployed_has_said_it_already(roles: Roles) -> None:
    roles.run([role("slots", "start")], **CUT_OVER | {"slot_outdated": True})
    assert WARNING not in roles.output


def test_a_slot_that_may_stop_is_not_spoken_of(roles: Roles) -> None:
    roles.run([role("slots", "start")], slots_start_slot="green", stop_after=0, environment_schemas={"green": GREEN})
    assert "schema.yml" not in roles.output
    assert "does not start" not in roles.output


# The way back


def test_a_slot_that_is_down_and_would_not_start_is_refused_at_once(roles: Roles) -> None:
    roles.down("shop-blue.service", "app1", "app2")
    planned = {"environment_stops": ["app1", "app2"]}
    assert roles.run([role("slots", "start")], fails=True, **NOW_GREEN, **planned) == []
    assert f"No traffic was moved: blue is down (shop-blue.service on app1, app2). {WARNING}" in roles.output


def test_a_slot_that_still_runs_is_only_kept_up(roles: Roles) -> None:
    calls = roles.run([role("slots", "start")], **NOW_GREEN, environment_stops=["app1", "app2"])
    starts = [[unit["name"] for unit in asked["units"]] for _, asked in calls if asked["name"] == "start"]
    timer = ["greenroom-stop.timer", "greenroom-stop.service"]
    assert starts == [[*timer, "shop-blue.service"]] * 2
    assert [asked["state"] for _, asked in calls if asked["name"] == "stop"] == ["absent"] * 2


def test_what_is_down_on_one_host_is_not_started_there(roles: Roles) -> None:
    roles.down("shop-blue.service", "app1")
    calls = roles.run([role("slots", "start")], **NOW_GREEN, environment_stops=["app1", "app2"])
    starts = [[unit["name"] for unit in asked["units"]] for _, asked in calls if asked["name"] == "start"]
    timer = ["greenroom-stop.timer", "greenroom-stop.service"]
    assert sorted(starts) == [timer, [*timer, "shop-blue.service"]]
