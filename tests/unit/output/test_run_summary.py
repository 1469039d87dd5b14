# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The summary at the end of a run: its words, and the role that prints it with what is known after each playbook."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import plays
import pytest
from ansible.module_utils.greenroom.controller.output import run_summary
from ansible.module_utils.greenroom.controller.slots import kept_files
from plays import ROOT

NOW = datetime(2026, 1, 31, 12, 1, 30, tzinfo=UTC)
NOTHING_DONE: dict[str, Any] = {
    "environment": "staging",
    "address": "https://portal.test",
    "live": "blue",
    "was_live": "blue",
    "edge": {"live": "blue", "previous": "", "answers": {}},
    "unfinished": {},
    "stops": {},
    "changed_by": None,
    "changed_at": "2026-01-30T12:00:00Z",
    "rolled_back": False,
    "taken_back": False,
    "promoted": {},
    "bundles": {"blue": {"release": "1.1"}, "green": {"release": "1.0"}},
    "deployed": "",
    "release": "1.1",
    "check": False,
    "login": "somebody@people.invalid",
    "pages": {"monitoring": "http://ops:9090/"},
    "confirm": False,
    "started": "2026-01-31T12:00:00Z",
    "silent": [],
    "lock_host": "ops1",
    "restore_point": "",
    "missed": {},
    "unread": "",
    "not_starting": {},
    "not_backed_up": "",
}
GONE = "green was not live before blue, a deploy has replaced it since, or traffic was rolled back from it"
EDGE = NOTHING_DONE["edge"]
WAY_BACK = EDGE | {"previous": "green"}
STATUS = "playbooks/status.yml shows which slot is live and what runs"


def summary(**changed: Any) -> dict[str, Any]:
    return dict(run_summary.summary(NOTHING_DONE | changed, NOW))


# The words


def test_a_run_says_what_nothing_backs_up() -> None:
    catalogue = {
        "shop": {"name": "shop", "database": "shop", "volumes": {"media": {"owner": "shop"}, "x": {"owner": "other"}}},
        "web": {"name": "web", "database": None},
    }
    told = kept_files.not_backed_up(catalogue, {"data": ["data1"]})
    assert told == 'shop/media, database shop: no host is in the group "ops" (docs/backup.md)'
    assert summary(not_backed_up=told)["not backed up"] == told
    # A database server elsewhere has backups of its own.
    assert kept_files.not_backed_up(catalogue, {}).startswith("shop/media: no host")
    assert kept_files.not_backed_up(catalogue, {"ops": ["ops1"]}) == ""
    assert kept_files.not_backed_up({"web": catalogue["web"]}, {"data": ["data1"]}) == ""


def test_a_run_that_changes_nothing_says_what_serves_and_where_to_look() -> None:
    assert list(summary().items()) == [
        ("environment", "staging"),
        ("address", "https://portal.test"),
        ("live slot", "blue, release 1.1"),
        ("idle slot", "green, release 1.0"),
        ("deployed", "nothing"),
        ("cut over", "no"),
        ("log in as", "somebody@people.invalid"),
        ("monitoring", "http://ops:9090/"),
        ("next", [STATUS, "playbooks/cutover.yml -e to=green cuts over to green", f"no rollback: {GONE}"]),
        ("seconds", 90),
    ]


def test_a_run_that_left_something_out_says_what_and_what_to_do_later() -> None:
    said = summary(silent=["app1", "ops1"], missed={"edge2": "does not answer"}, unread="Vault is sealed")["left out"]
    assert [line.split(":")[0] for line in said] == [
        "app1 does not answer",
        "ops1 does not answer",
        "edge2 did not make the switch; it takes it over from the other edge hosts (does not answer)",
        "when they answer again, playbooks/cutover.yml completes the rest there",
        "checks that need a secret",
    ]
    assert said[1].endswith("and the edge hosts kept the lock")
    assert said[4].endswith("Vault is sealed")


def test_a_first_run_has_no_way_back() -> None:
    said = summary(was_live=None, deployed="blue", bundles={"blue": {"release": "1.1"}})
    assert said["live slot"] == "blue, release 1.1"
    assert said["idle slot"] == "green, empty"
    assert said["deployed"] == "release 1.1 to blue"
    assert said["cut over"] == "to blue"
    assert said["next"] == [STATUS]


def test_a_new_release_that_serves_has_a_way_back() -> None:
    said = summary(was_live="green", deployed="blue", edge=WAY_BACK)
    assert said["deployed"] == "release 1.1 to blue"
    assert said["cut over"] == "from green to blue"
    assert said["next"][1] == "playbooks/rollback.yml rolls back to green"


def test_a_way_back_that_lasts_only_while_the_slot_runs_says_so() -> None:
    said = summary(was_live="green", edge=WAY_BACK, not_starting={"green": "portal-green ended with exit code 1"})
    words = "playbooks/rollback.yml rolls back to green, as long as green keeps running: it would not start again"
    assert said["next"][1] == words


def test_a_run_that_moves_nothing_still_offers_the_rollback_that_works() -> None:
    assert summary(edge=WAY_BACK)["next"][1:] == ["playbooks/rollback.yml rolls back to green"]


DOWN = {"edge1": {"health": {"green": {"portal_http_green": {"healthy": False, "down": ["app1", "app2"]}}}}}
STOPPED = {"app1": {"slot": "green", "says": "stopped"}}


@pytest.mark.parametrize(
    ("known", "offers"),
    [
        ({"edge": WAY_BACK | {"answers": DOWN}}, ["no rollback: no server of portal_http_green is healthy"]),
        ({"edge": EDGE | {"answers": DOWN}}, [f"no rollback: {GONE}"]),
        ({"edge": WAY_BACK, "unfinished": {"green": "it did not finish"}}, ["green can't serve: it did not finish"]),
        # A rollback starts what a planned stop has stopped.
        ({"edge": WAY_BACK | {"answers": DOWN}, "stops": STOPPED}, ["playbooks/rollback.yml rolls back to green"]),
        # An edge host whose HAProxy does not respond says nothing about health.
        ({"edge": WAY_BACK | {"answers": {"edge1": {"health": None}}}}, ["playbooks/rollback.yml rolls back to green"]),
    ],
)
@pytest.mark.parametrize("moved", [{}, {"was_live": "green"}])
def test_only_what_works_is_offered(known: dict[str, Any], moved: dict[str, Any], offers: list[str]) -> None:
    assert summary(**known, **moved)["next"][1:] == offers


def test_after_a_deploy_alone_the_cut_over_comes_next() -> None:
    said = summary(deployed="green", bundles={"blue": {"release": "1.0"}, "green": {"release": "1.1"}})
    assert (said["live slot"], said["idle slot"]) == ("blue, release 1.0", "green, release 1.1")
    assert (said["deployed"], said["cut over"]) == ("release 1.1 to green", "no")
    assert said["next"][1] == "playbooks/cutover.yml -e to=green cuts over to green"


def test_a_first_deploy_alone_serves_nobody() -> None:
    said = summary(live=None, was_live=None, deployed="blue", bundles={"blue": {"release": "1.1"}})
    assert (said["live slot"], said["idle slot"]) == ("none yet", "blue, release 1.1")
    assert said["cut over"] == "no"
    assert said["next"][1] == "playbooks/cutover.yml -e to=blue cuts over to blue"


def test_a_way_back_says_from_where_to_where_and_how_to_go_on() -> None:
    said = summary(was_live="green", rolled_back=True)
    assert said["cut over"] == "back from green to blue"
    assert said["next"][1] == "playbooks/cutover.yml -e to=green cuts over to green"


def test_what_was_taken_back_is_no_cut_over() -> None:
    said = summary(taken_back=True, bundles=None, release="", deployed="")
    assert said["live slot"] == "blue"
    assert said["idle slot"] == "green"
    assert said["cut over"] == "no; the operation in progress was aborted"
    assert said["next"] == [STATUS]


def test_a_promoted_cutover_is_in_progress() -> None:
    said = summary(promoted={"slot": "green", "weight": 5}, bundles=None, release="", deployed="")
    assert said["cut over"] == "in progress: the run that gave green 5 % goes on with its next step"


BACK = "greenroom-edge back on edge1"


def test_who_moved_traffic_without_a_run_is_told_until_a_run_moves_it() -> None:
    said = summary(changed_by=BACK)
    assert list(said)[5:7] == ["cut over", "last switch"]
    assert said["last switch"] == f"by {BACK}, at 2026-01-30T12:00:00Z"
    for moved in ({"was_live": "green"}, {"taken_back": True}, {"was_live": "green", "rolled_back": True}):
        assert "last switch" not in summary(changed_by=BACK, **moved)
    assert "last switch" not in summary()


def test_a_check_run_tells_what_would_be_and_what_is() -> None:
    said = summary(check=True, was_live="green", deployed="blue")
    assert said["live slot"] == "green, release 1.0"
    assert said["deployed"] == "would be release 1.1 to blue"
    assert said["cut over"] == "would be from green to blue"
    assert said["next"] == [STATUS]


def test_toggles_that_are_on_in_the_live_slot_are_one_line() -> None:
    live = {"release": "1.1", "toggles": {"new_checkout": True, "banner": True, "test_endpoints": False}}
    idle = {"release": "1.0", "toggles": {"new_checkout": False, "test_endpoints": True}}
    assert summary(bundles={"blue": live, "green": idle})["toggles on"] == "banner, new_checkout"
    off = {**live, "toggles": {"new_checkout": False}}
    assert "toggles on" not in summary(bundles={"blue": off, "green": idle})
    assert "toggles on" not in summary(bundles=None)


def test_where_each_run_is_confirmed_the_next_ones_are() -> None:
    assert summary(confirm=True)["next"] == [
        "playbooks/status.yml -e confirm=staging shows which slot is live and what runs",
        "playbooks/cutover.yml -e to=green -e confirm=staging cuts over to green",
        f"no rollback: {GONE}",
    ]


def test_what_there_is_not_has_no_line() -> None:
    assert {"log in as", "monitoring", "mail"}.isdisjoint(summary(login="", pages={}))


# The role


def edge(live: str | None, operation: str | None = None, previous: str | None = "") -> dict[str, Any]:
    return {"live": live, "operation": operation, "previous": previous, "answers": {}}


ID = "20260131T120000Z-abcdef"
RUN = {"id": ID, "started": "2026-01-31T12:00:00Z", "has": []}
OPENED = {
    "environment_run": RUN,
    "environment_edge": edge("blue"),
    "environment_bundles": {"blue": {"release": "1.0"}},
    "environment_release": {"name": "1.1", "id": "0" * 64, "images": {"maildev": "registry.test/maildev"}},
}
DEPLOYED = {"bundle_outdated": True, "bundle_slot": "green", "bundle_written": {"green": {"release": "1.1"}}}
SWITCHED = {"changed_by": BACK, "changed_at": "2026-01-30T12:00:00Z"}
# What is known at the end of a playbook, with the options of its run.
SITUATIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "site.yml": (OPENED | DEPLOYED | {"cutover_status": edge("green", ID, "blue")}, []),
    "site.yml --check": (OPENED | DEPLOYED | {"cutover_status": edge("green")}, ["--check"]),
    "rollback.yml": (
        OPENED | {"environment_edge": edge("green"), "cutover_rollback_to": "blue", "cutover_status": edge("blue", ID)},
        [],
    ),
    # Takes no lock and asks for nothing but the edge.
    "abort.yml": (
        {"environment_run": RUN, "environment_edge": edge("blue", "an-earlier-run"), "cutover_status": edge("blue")},
        [],
    ),
    "deploy.yml": (OPENED | DEPLOYED, []),
    "cutover.yml": (OPENED | {"environment_edge": edge("blue") | SWITCHED, "cutover_status": edge("blue", ID)}, []),
}
# Which of them is of an environment with nothing but an edge and an app host, that is one.
LEAST_OF = {"deploy.yml"}
LEAST = {
    "environment_name": "least",
    "environment_domain": "least.test",
    "environment_public_name": "www.least.test",
    "environment_protected": True,
    "environment_seeding_allowed": False,
    "ansible_host": "192.0.2.1",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """What the project's output shows of each situation: {name: lines}."""
    staging, least = (tmp_path_factory.mktemp(name) for name in ("staging", "least"))
    for folder in (staging, least):
        (folder / "playbooks").mkdir()
        (folder / "playbooks/group_vars").symlink_to(ROOT / "playbooks/group_vars")
        play = {"name": "Report", "hosts": "all", "gather_facts": False, "roles": ["report"]}
        (folder / "playbooks/play.yml").write_text(json.dumps([play]))
        plugins = {"callback_plugins": ROOT / "plugins/callback", "action_plugins": ROOT / "plugins/action"}
        plays.configure(folder, **plugins, stdout_callback="greenroom")
    (staging / "hosts.yml").symlink_to(ROOT / "inventories/staging")
    plays.write_hosts(least, {group: {"hosts": {"one": {}}} for group in ("edge", "app")}, LEAST)

    def run(name: str) -> dict[str, list[str]]:
        known, options = SITUATIONS[name]
        everywhere = {"ansible_connection": "local", "ansible_become": False}
        folder = least if name in LEAST_OF else staging
        done = plays.run(folder, "-e", json.dumps(known | everywhere), *options, playbook="playbooks/play.yml")
        assert done.returncode == 0, done.stdout + done.stderr
        return block(done.stdout)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SITUATIONS, pool.map(run, SITUATIONS), strict=True))


def block(output: str) -> dict[str, list[str]]:
    """The summary that an output ends with: values by name, which the first column has."""
    lines = output[output.index("\nenvironment ") :].strip("\n").splitlines()
    values: dict[str, list[str]] = {}
    width = len(lines[0]) - len(lines[0].removeprefix("environment").lstrip())
    name = ""
    for line in lines:
        name = line[:width].strip() or name
        values.setdefault(name, []).append(line[width:])
    return values


def test_site_says_what_serves_now_and_where_to_look(said: dict[str, dict[str, list[str]]]) -> None:
    shown = said["site.yml"]
    assert shown["address"] == ["https://portal.staging.greenroom.test"]
    assert shown["live slot"] == ["green, release 1.1"]
    assert shown["idle slot"] == ["blue, release 1.0"]
    assert shown["deployed"] == ["release 1.1 to green"]
    assert shown["cut over"] == ["from blue to green"]
    assert shown["log in as"][0].endswith("@people.staging.invalid")
    assert shown["monitoring"] == ["http://198.18.10.41:9090/"]
    assert shown["mail"] == ["http://198.18.10.41:1080/"]
    assert shown["next"] == [STATUS, "playbooks/rollback.yml rolls back to blue"]
    assert int(shown["seconds"][0]) > 0


def test_a_check_run_of_site_says_what_would_be(said: dict[str, dict[str, list[str]]]) -> None:
    shown = said["site.yml --check"]
    assert (shown["live slot"], shown["idle slot"]) == (["blue, release 1.0"], ["green, empty"])
    assert shown["deployed"] == ["would be release 1.1 to green"]
    assert shown["cut over"] == ["would be from blue to green"]


def test_rollback_says_from_where_to_where(said: dict[str, dict[str, list[str]]]) -> None:
    shown = said["rollback.yml"]
    assert shown["live slot"] == ["blue, release 1.0"]
    assert shown["deployed"] == ["nothing"]
    assert shown["cut over"] == ["back from green to blue"]


def test_abort_knows_the_slots_and_no_releases(said: dict[str, dict[str, list[str]]]) -> None:
    shown = said["abort.yml"]
    assert (shown["live slot"], shown["idle slot"]) == (["blue"], ["green"])
    assert shown["cut over"] == ["no; the operation in progress was aborted"]
    assert "mail" not in shown


def test_a_cutover_that_moves_nothing_says_who_moved_traffic(said: dict[str, dict[str, list[str]]]) -> None:
    assert said["cutover.yml"]["cut over"] == ["no"]
    assert said["cutover.yml"]["last switch"] == [f"by {BACK}, at 2026-01-30T12:00:00Z"]
    assert "last switch" not in said["site.yml"]


def test_a_deploy_without_ops_hosts_and_users_names_neither(said: dict[str, dict[str, list[str]]]) -> None:
    shown = said["deploy.yml"]
    assert (shown["live slot"], shown["idle slot"]) == (["blue, release 1.0"], ["green, release 1.1"])
    assert shown["next"][1] == "playbooks/cutover.yml -e to=green -e confirm=least cuts over to green"
    assert {"log in as", "monitoring", "mail"}.isdisjoint(shown)
