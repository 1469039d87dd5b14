# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The role cutover where nobody can judge a candidate's share: it is taken back, whatever failed."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from ansible.module_utils.greenroom.canary import verdict
from ansible.module_utils.greenroom.canary.limits import Limits
from canary_rows import LIMITS, counted, probed
from plays import ROOT

# Says what it was asked for, and then what is in answers.json for it; without an answer there it breaks.
MODULE = """#!/usr/bin/python
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({name: {"type": "raw"} for name in OPTIONS})
asked = {name: value for name, value in module.params.items() if value is not None}
with open("FOLDER/log", "a") as log:
    log.write(json.dumps(["NAME", asked]) + "\\n")
module.exit_json(**json.load(open("FOLDER/answers.json"))["NAME"])
"""
OPTIONS = {
    "bluegreen_switch": [
        "state",
        "site",
        "operation",
        "live",
        "weight",
        "epoch",
        "expected_epoch",
        "deadline",
        "recover",
        "newest",
        "healthy",
        "bake",
        "final",
        "by",
    ],
    "smoke_check": ["checks"],
    "canary_probe": [
        *(
            "url",
            "live",
            "candidate",
            "paths",
            "rate",
            "seconds",
            "ca_file",
            "resolve",
            "username",
            "password",
            "until",
            "operation",
            "targets",
            "services",
            "prometheus",
            "queries",
        )
    ],
    "canary_traffic": ["after", "last", "not_before", "settle", "backends", "routes", "interval"],
}
EDGE: dict[str, Any] = {
    "live": "blue",
    "epoch": 7,
    "highest_epoch": 7,
    "weight": 0,
    "previous": None,
    "value": "7:blue:-:0",
    "operation": None,
    "phase": "idle",
    "before_live": None,
    "state_lost": False,
    "running": True,
    "in_force": True,
    "disk": {"state": {}, "map": "7:blue:-:0"},
    "workers": [],
}
VARIABLES: dict[str, Any] = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "environment_name": "staging",
    "environment_protected": False,
    "environment_public_name": "portal.test",
    "environment_public_address": "192.0.2.1",
    "environment_address": "192.0.2.2",
    "edge_peers_port": 8406,
    "environment_public_url": "https://portal.test",
    "environment_edge_trust": "/etc/greenroom/ca.crt",
    "environment_record_host": "ops1",
    "environment_prober": "ops1",
    "environment_run": {"id": "20260101T120000Z-abcdef", "controller": "ada@desk"},
    "secrets_values": {"environment/value/smoke": {"value": "-"}},
    "slot_bundles": {},
    "catalogue": {},
    "cutover_bake_seconds": 0,
    "notify_wanted": False,
    "canary_checks": False,
    "monitoring_port": 9090,
    "cutover_to": "green",
    "cutover_canary": [5],
}


class Cutover:
    """Runs the role on some edge hosts, in a play like the project's own, and notes what modules were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.playbook = "steps/cutover.yml"
        self.plays: list[str] = []
        self.output = ""
        self.probes: list[dict[str, Any]] = []
        nothing = {slot: verdict.empty_interval(0)["public"]["live"] for slot in ("blue", "green")}
        traffic = {"slots": nothing, "mark": {}, "gaps": [], "waiting": {}, "seconds": 0}
        in_progress = EDGE | {"operation": VARIABLES["environment_run"]["id"]}
        self.answers: dict[str, Any] = {"bluegreen_switch": in_progress, "canary_traffic": traffic}
        (folder / "library").mkdir()
        for name, options in OPTIONS.items():
            text = MODULE.replace("NAME", name).replace("OPTIONS", json.dumps(options)).replace("FOLDER", str(folder))
            (folder / f"library/{name}.py").write_text(text)
        (folder / "action").mkdir()
        (folder / "action/environment_record.py").symlink_to(ROOT / "plugins/action/environment_record.py")
        plays.configure(folder, action_plugins=folder / "action")

    def fails(self, *edges: str, **given: Any) -> list[dict[str, Any]]:
        """Run it, which has to fail; return what was asked of the switch."""
        code, asked = self.runs(*edges, **given)
        assert code != 0, self.output
        return asked

    def aborts(self, *edges: str, **more: Any) -> list[dict[str, Any]]:
        """Run what an operator runs to abort a cutover; return what was asked of the switch."""
        self.playbook, self.plays = "abort.yml", ["Abort the cutover"]
        code, asked = self.runs(*edges, **more)
        assert code == 0, self.output
        return asked

    def runs(self, *edges: str, **more: Any) -> tuple[int, list[dict[str, Any]]]:
        """Run it with `more` variables; return its exit code, and what was asked of the switch, but for its status."""
        down: dict[str, Any] = {"hosts": list(edges), "down": [], "behind": []}
        hosts = {"hosts": dict.fromkeys(edges)}
        children = {"edge": hosts, "moving": hosts, "baking": hosts, "ops": {"hosts": {"ops1": None}}}
        children |= {"returning": hosts, "app": {"hosts": {"app1": None, "app2": None}}}
        record = {"slot_record": str(self.folder / "live.json")}
        pause = {"slot_pause_file": str(self.folder / "canary/pause.json")}
        given = VARIABLES | {"environment_edge": EDGE} | record | pause | more
        given["environment_edge"] = down | given["environment_edge"]
        plays.write_hosts(self.folder, children, given)
        (self.folder / "answers.json").write_text(json.dumps(self.answers))
        wanted = [
            play
            for play in yaml.safe_load((ROOT / "playbooks" / self.playbook).read_text())
            if (play["name"] in self.plays if self.plays else {"role": "cutover"} in play.get("roles", []))
        ]
        assert len(wanted) == max(1, len(self.plays))
        (self.folder / "play.yml").write_text(yaml.safe_dump(wanted))
        done = plays.run(self.folder)
        self.output = done.stdout + done.stderr
        log = self.folder / "log"
        calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        self.probes = [asked for name, asked in calls if name == "canary_probe"]
        switches = [asked for name, asked in calls if name == "bluegreen_switch"]
        return done.returncode, [asked for asked in switches if asked["state"] != "status"]


@pytest.fixture
def cutover(tmp_path: Path) -> Cutover:
    return Cutover(tmp_path)


TAKEN_BACK = {"state": "aborted", "site": "staging", "operation": "20260101T120000Z-abcdef"}


@pytest.mark.parametrize("edges", [["edge1"], ["edge1", "edge2", "edge3"]], ids=len)
def test_a_share_is_taken_back_on_every_edge_host_when_its_watch_breaks(cutover: Cutover, edges: list[str]) -> None:
    asked = cutover.fails(*edges)
    states = [call["state"] for call in asked]
    assert states == [state for state in ("prepared", "present", "aborted") for _ in edges], cutover.output
    assert asked[-len(edges) :] == [TAKEN_BACK] * len(edges)
    assert "Module failed: 'canary_probe'" in cutover.output, cutover.output


def test_a_candidate_without_a_pass_is_taken_back_with_a_new_number(cutover: Cutover) -> None:
    """The control: a verdict is no failure."""
    nothing = verdict.empty_interval(0)
    cutover.answers["canary_probe"] = nothing
    asked = cutover.fails("edge1", "edge2")
    # The share had the one before.
    assert [call["epoch"] for call in asked if call["state"] == "present"] == [8] * 2
    assert asked[-2:] == [{**TAKEN_BACK, "live": "blue", "epoch": 9}] * 2, cutover.output
    assert "blue serves all public traffic: no data" in cutover.output
    # Off the edge, too: no later switch may have this number.
    assert json.loads((cutover.folder / "live.json").read_text()) == {"live": "blue", "epoch": 9, "from": 7}


PAUSED = {"cutover_pauses": [5], "cutover_pause_seconds": 600, "cutover_step_seconds": 1, "canary_interval_seconds": 1}
SWITCHED = ["prepared", "present"]


def test_a_promoted_candidate_gets_all_traffic(cutover: Cutover) -> None:
    cutover.answers["canary_probe"] = probed(ended=True)
    code, asked = cutover.runs("edge1", **PAUSED)
    assert code == 0, cutover.output
    # The third call keeps the operation until the pause is over.
    assert [call["state"] for call in asked] == [*SWITCHED, "present", *SWITCHED]
    kept = {"operation": "20260101T120000Z-abcdef", "epoch": EDGE["epoch"], "deadline": 840}
    assert asked[2] == {"state": "present", "site": "staging", **kept}
    step, pause = cutover.probes
    assert step["until"] == []
    assert pause["until"] == [str(cutover.folder / "canary/promoted-20260101T120000Z-abcdef-5")]
    # Both end as soon as an operator moves traffic.
    followed = {"site": "staging", "epoch": 7, "addresses": ["192.0.2.2"], "port": 8406, "name": "portal.test"}
    assert [each["operation"] for each in (step, pause)] == [followed | {"ca_file": "/etc/greenroom/ca.crt"}] * 2
    assert float(pause["seconds"]) == 30, "20 intervals"
    assert "playbooks/promote.yml lets it go on" in cutover.output
    assert not (cutover.folder / "canary/pause.json").exists()


def test_an_operator_may_promote_a_candidate_with_too_little_traffic(cutover: Cutover) -> None:
    cutover.answers["canary_probe"] = {**verdict.empty_interval(0), "ended": True}
    code, _asked = cutover.runs("edge1", **PAUSED)
    assert code == 0, cutover.output
    assert "no data" in cutover.output


@pytest.mark.parametrize(
    ("probes", "said"),
    [
        ({"ended": False}, "no operator has promoted green within 2 s; pass: green at 5 %"),
        # Nobody can promote a release that is worse.
        ({"ended": True, "probes": {"live": counted(99), "candidate": counted(99, failed=60)}}, "fail: green at 5 %"),
    ],
)
def test_a_candidate_that_is_not_promoted_is_taken_back(cutover: Cutover, probes: dict[str, Any], said: str) -> None:
    cutover.answers["canary_probe"] = probed(**probes)
    asked = cutover.fails("edge1", **PAUSED | {"cutover_pause_seconds": 2})
    assert asked[-1]["state"] == "aborted"
    assert f"blue serves all public traffic: {said}" in " ".join(cutover.output.split()), cutover.output


@pytest.mark.parametrize("given", [{}, PAUSED])
def test_an_operator_who_aborts_is_named_and_nothing_else_is_done(cutover: Cutover, given: dict[str, Any]) -> None:
    by = {"changed_by": "ada@desk with playbooks/abort.yml", "changed_at": "2026-01-31T12:00:00Z"}
    cutover.answers["bluegreen_switch"] = EDGE | by
    cutover.answers["canary_probe"] = probed(ended=True)
    asked = cutover.fails("edge1", "edge2", **given)
    # The abort of the operator holds.
    assert [call["state"] for call in asked] == ["prepared", "prepared", "present", "present"]
    assert (
        "The cutover to green was aborted, and blue serves all public traffic: "
        "ada@desk with playbooks/abort.yml ended it at 2026-01-31T12:00:00Z"
    ) in " ".join(cutover.output.split())
    assert "pass: green" not in cutover.output
    assert len(cutover.probes) == 1


# The operator's side


def test_an_abort_says_who_it_was(cutover: Cutover) -> None:
    edge = {"operation": "run-1", "phase": "canary", "before_live": "blue", "weight": 5, "candidate": "green"}
    asked = cutover.aborts("edge1", "edge2", environment_edge=EDGE | edge)
    assert [call["state"] for call in asked] == ["aborted", "aborted"]
    assert {call["by"] for call in asked} == {"ada@desk with playbooks/abort.yml"}
    assert {call["operation"] for call in asked} == {"run-1"}


def promote(folder: Path, operation: str | None, *options: str) -> str:
    """Run the playbook's role on two edge hosts, of which the second one says what the run waits for."""
    phase = "canary" if operation else "idle"
    edge = EDGE | {"operation": operation, "phase": phase, "hosts": ["edge1", "edge2"], "down": []}
    files = {host: {"slot_pause_file": f"{folder}/{host}.json"} for host in ("edge1", "edge2")}
    children = {"edge": {"hosts": files}, "ops": {"hosts": {"ops1": None}}}
    plays.write_hosts(folder, children, VARIABLES | {"environment_edge": edge})
    plays.configure(folder)
    pause = {"operation": "run-1", "slot": "green", "weight": 5, "host": "ops1", "file": f"{folder}/ops/promoted"}
    (folder / "edge2.json").write_text(json.dumps(pause))
    play = next(
        play for play in yaml.safe_load((ROOT / "playbooks/promote.yml").read_text()) if play.get("hosts") == "edge"
    )
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = plays.run(folder, *options)
    assert (done.returncode == 0) == (operation == "run-1"), done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_an_operator_promotes_with_a_file_for_the_run(tmp_path: Path) -> None:
    assert "green gets its next weight within seconds" in promote(tmp_path, "run-1")
    assert (tmp_path / "ops/promoted").exists()


def test_checking_promotes_nothing(tmp_path: Path) -> None:
    promote(tmp_path, "run-1", "--check")
    assert not (tmp_path / "ops/promoted").exists()


@pytest.mark.parametrize(("operation", "said"), [(None, "none is in progress"), ("run-2", "run-2 goes on by itself")])
def test_nothing_else_can_be_promoted(tmp_path: Path, operation: str | None, said: str) -> None:
    assert f"No cutover waits for an operator: {said}" in promote(tmp_path, operation)
    assert not (tmp_path / "ops").exists()


# A verdict without the run

BAKES: dict[str, Any] = {"cutover_canary": [], "cutover_bake_seconds": 300, "canary_alpha": 0.01}


def test_the_edge_hosts_can_judge_a_bake_without_the_run(cutover: Cutover) -> None:
    since = {"answers": {"edge1": {"changed_at": "2026-01-01T00:00:00Z"}}, "hosts": ["edge1"], "down": [], "behind": []}
    code, asked = cutover.runs("edge1", **BAKES, environment_edge=EDGE | since)
    assert code == 0, cutover.output
    prepared, committed = asked
    bake = prepared["bake"]
    assert Limits(**bake.pop("limits")) == replace(LIMITS, alpha=0.01)
    assert bake == {"own": {}, "routes": [], "backends": {}, "seconds": 600, "not_before": "2026-01-01T00:00:00Z"}
    assert "bake" not in committed


@pytest.mark.parametrize(
    "given", [{"cutover_bake_seconds": 0}, {"cutover_rollback_to": "green"}, {"cutover_to": "blue"}]
)
def test_without_a_bake_there_is_nothing_to_judge(cutover: Cutover, given: dict[str, Any]) -> None:
    code, asked = cutover.runs("edge1", **BAKES | given)
    assert code == 0, cutover.output
    assert [call for call in asked if "bake" in call] == []


@pytest.mark.parametrize("live", ["blue", "green"])
def test_a_bake_that_an_operator_ended_stays_as_they_left_it(cutover: Cutover, live: str) -> None:
    cutover.plays = ["Bake the new live slot", "Fail if the new live slot did not pass"]
    by = {"changed_by": "greenroom-edge back on edge1", "changed_at": "2026-01-31T12:00:00Z"}
    cutover.answers["bluegreen_switch"] = EDGE | by | {"live": live, "epoch": 17}
    cutover.answers["canary_probe"] = probed()
    run = VARIABLES["environment_run"]["id"]
    moved = EDGE | {"live": "green", "epoch": 7, "phase": "live", "operation": run, "hosts": ["edge1"], "down": []}
    slots = yaml.safe_load((ROOT / "playbooks/group_vars/all/slots.yml").read_text())
    names = {name: slots[name] for name in ("slot_live", "slot_idle")}
    code, asked = cutover.runs("edge1", **BAKES, **names, environment_edge=moved, cutover_status=moved)
    assert code != 0, cutover.output
    assert asked == [], "nothing moves"
    said = f"green served all public traffic, and now {live} does: greenroom-edge back on edge1 ended it at 2026-01-31"
    assert said in " ".join(cutover.output.split())
    assert len(cutover.probes) == 1


def test_all_traffic_returns_if_a_singleton_does_not_start(cutover: Cutover) -> None:
    cutover.plays = ["Send all traffic back if a singleton does not start"]
    moved = EDGE | {"live": "green", "epoch": 8, "highest_epoch": 8, "before_live": "blue", "phase": "live"}
    moved |= {"operation": VARIABLES["environment_run"]["id"], "value": "8:green:-:0:blue"}
    failure = "calendar-green.service: ended with exit code 1"
    names = {"slot_live": "blue", "slot_idle": "green", "slots_singletons_failure": failure}
    code, asked = cutover.runs("edge1", "edge2", environment_edge=moved, **names)
    assert code == 0, cutover.output
    assert asked == [{**TAKEN_BACK, "live": "blue", "epoch": 9}] * 2, cutover.output


# A slot that can't serve

HEALTHY = {slot: {f"portal_http_{slot}": {"healthy": True, "down": []}} for slot in ("blue", "green")}
ILL = HEALTHY | {"green": {"portal_http_green": {"healthy": False, "down": ["app1", "app2"]}}}
PORTAL = {"name": "portal", "group": "app", "activation": "always"}
BUNDLES = {slot: {"slot": slot, "release": "1.1", "hosts": {}, "services": {"portal": PORTAL}} for slot in HEALTHY}
DEAD = {host: {"portal-green.service": {"state": "failed (failed)", "restarts": 5}} for host in ("app1", "app2")}
UP = {host: {"portal-green.service": {"state": "active (running)", "restarts": 0}} for host in ("app1", "app2")}
TO_GREEN = {
    "steps/cutover.yml": "Decide whether a cutover is needed",
    "steps/rollback.yml": "Find the previous slot",
}


def towards_green(cutover: Cutover, playbook: str, known: Any, now: Any = HEALTHY, **given: Any) -> int:
    """Run the play that decides whether traffic may move to green; `known` and `now` are what HAProxy says of servers.

    Returns the exit code.
    """
    cutover.playbook, cutover.plays = playbook, [TO_GREEN[playbook]]
    edge = EDGE | {"previous": "green", "answers": {"edge1": {"health": known}}}
    cutover.answers["bluegreen_switch"] = EDGE | {"health": now}
    slots = yaml.safe_load((ROOT / "playbooks/group_vars/all/slots.yml").read_text())
    names = {name: slots[name] for name in ("slot_live", "slot_idle", "slot_outdated", "slot_target", "slot_schemas")}
    given = {"environment_units": UP, "slot_bundles": BUNDLES, "environment_hooks": {}} | given
    code, asked = cutover.runs("edge1", environment_edge=edge, to="green", **names, **given)
    assert asked == [], "nothing moves"
    return code


@pytest.mark.parametrize("playbook", TO_GREEN)
def test_a_slot_whose_services_do_not_run_is_refused_before_anything_else(cutover: Cutover, playbook: str) -> None:
    assert towards_green(cutover, playbook, HEALTHY, environment_units=DEAD) != 0
    said = " ".join(cutover.output.split())
    assert (
        "No traffic was moved: green can't serve: portal-green.service does not run (app1: failed (failed), "
        "app2: failed (failed)). On the app hosts, sudo journalctl -u portal-green.service says why."
    ) in said
    assert "playbooks/deploy.yml -e release_name=1.1" in said


@pytest.mark.parametrize("playbook", TO_GREEN)
def test_a_slot_without_a_healthy_server_is_refused_if_it_stays_so(cutover: Cutover, playbook: str) -> None:
    assert towards_green(cutover, playbook, ILL, ILL) != 0
    said = " ".join(cutover.output.split())
    assert "green can't serve: no server of portal_http_green is healthy. On the app hosts, sudo journalctl" in said


@pytest.mark.parametrize("playbook", TO_GREEN)
@pytest.mark.parametrize(
    ("known", "now", "given"),
    [
        (HEALTHY, HEALTHY, {}),
        # It had just started.
        (ILL, HEALTHY, {}),
        # The run starts it first.
        (ILL, ILL, {"environment_stops": {"app1": {"slot": "green", "at": "2026", "says": "stopped"}}}),
        (ILL, ILL, {"environment_units": DEAD, "cutover_unhealthy": "accept"}),
        # It may run on a host that is gone.
        (HEALTHY, HEALTHY, {"environment_units": {"app1": DEAD["app1"]}}),
        # The next play refuses it, and says why it would not start.
        (ILL, ILL, {"environment_units": DEAD, "environment_schemas": {"green": {"starts": False, "reason": "old"}}}),
    ],
    ids=["healthy", "started", "stopped as planned", "accepted", "host gone", "would not start"],
)
def test_any_other_slot_may_get_traffic(cutover: Cutover, playbook: str, known: Any, now: Any, given: Any) -> None:
    assert towards_green(cutover, playbook, known, now, **given) == 0, cutover.output
