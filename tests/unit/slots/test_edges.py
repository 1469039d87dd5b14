# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What several edge hosts say together, and what an operator sees of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.slots import edges, lock_holders, status


def answer(host: str, epoch: int = 7, live: str = "blue", **more: Any) -> dict[str, Any]:
    """What `bluegreen_switch` returns for one edge host, as an item of a loop."""
    value = more.pop("value", f"{epoch}:{live}:-:0")
    return {
        "item": host,
        "live": live,
        "epoch": epoch,
        "highest_epoch": epoch,
        "candidate": None,
        "weight": 0,
        "previous": None,
        "changed_at": "2026-01-31T12:00:00Z",
        "operation": None,
        "phase": "idle",
        "deadline": None,
        "state_lost": False,
        "running": True,
        "in_force": True,
        "disk": {"state": {"live": live, "epoch": epoch}, "damage": "", "map": value},
        "workers": [{"name": "123", "old": False, "value": value, "agrees": True, "problem": ""}],
        "connections": {"blue": {"current": 2}, "green": {"current": 0}},
    } | more


def description(slot: str, release: str, identity: str = "") -> dict[str, Any]:
    """A slot with a service that always runs, one beside the live slot, and one that there is once."""
    activations = {"portal": "always", "jobs": "live_only", "clock": "singleton"}
    services = {name: {"name": name, "group": "app", "activation": how} for name, how in activations.items()}
    return {"slot": slot, "release": release, "id": identity, "hosts": {}, "services": services}


GROUPS = {"app": ["app1", "app2"]}
BOTH = {"blue": description("blue", "1.0"), "green": description("green", "1.1")}


def dead(host: str) -> dict[str, Any]:
    return {"item": host, "unreachable": True, "msg": "no route"}


def test_the_newest_sound_record_holds() -> None:
    found = edges.together([answer("edge1", 7), answer("edge2", 8, "green"), answer("edge3", 9, state_lost=True)])
    assert (found["live"], found["epoch"]) == ("green", 8)
    assert found["hosts"] == ["edge1", "edge2", "edge3"]
    assert found["behind"] == ["edge1", "edge3"]
    assert found["highest_epoch"] == 9


def test_the_dead_are_named_and_the_others_go_on() -> None:
    found = edges.together([dead("edge1"), answer("edge2")])
    assert (found["hosts"], found["down"], found["behind"]) == (["edge2"], ["edge1"], [])
    with pytest.raises(ValueError, match=r"no edge host answers \(edge1, edge2\)"):
        edges.together([dead("edge1"), dead("edge2")])


def test_hosts_of_a_play_are_put_together_like_items_of_a_loop() -> None:
    asked = {host: {"asked": {**answer("", epoch)}, "other": 1} for host, epoch in (("edge1", 7), ("edge2", 8))}
    found = edges.together(edges.answers(asked, "asked", ["edge2"]))
    assert (found["hosts"], found["epoch"]) == (["edge2"], 8)


@pytest.mark.parametrize(
    ("answers", "previous"),
    [
        ([{"previous": "green"}, {"previous": "green"}], "green"),
        ([{"previous": "green"}, {"previous": ""}], ""),
        ([{"previous": ""}, {"previous": "green"}], ""),
        ([{"previous": None}, {"previous": "green"}], "green"),
        ([{"previous": None}, {"previous": None}], None),
        # Modules of an earlier version say nothing.
        ([{}, {}], None),
        # One that is behind, or has lost its state, knows nothing about this epoch.
        ([{"previous": "green"}, {"previous": "", "epoch": 6}], "green"),
        ([{"previous": "green"}, {"previous": "", "state_lost": True}], "green"),
    ],
)
def test_the_previous_slot_is_one_that_no_edge_host_has_given_up(answers: list[Any], previous: str | None) -> None:
    found = edges.together([answer(f"edge{number}", **more) for number, more in enumerate(answers)])
    assert found["previous"] == previous
    said = status.summary(found, BOTH, {}, {}, GROUPS)["previous slot"]
    assert said == {"green": "green", "": "none: there is nothing to roll back to", None: "unknown"}[previous]


def test_who_moved_traffic_without_a_run_is_told() -> None:
    """edge2 has moved it, and edge1 has taken it over."""
    by = "greenroom-edge back on edge2"
    found = edges.together([answer("edge1"), answer("edge2", changed_by=by), answer("edge3", 6, changed_by="other")])
    assert found["changed_by"] == by
    assert status.summary(found, BOTH, {}, {}, GROUPS)["since"] == f"2026-01-31T12:00:00Z, by {by}"
    assert edges.together([answer("edge1", changed_by=None)])["changed_by"] is None


@pytest.mark.parametrize(
    ("epoch", "highest", "noted", "believed"),
    [
        (7, 7, {}, True),
        (7, 7, {"live": "blue", "epoch": 7}, True),
        (8, 8, {"live": "blue", "epoch": 7}, True),
        # A run that died after its note and before its switch: still prepared, or dropped since.
        (7, 8, {"live": "green", "epoch": 8}, True),
        (7, 7, {"live": "green", "epoch": 8}, True),
        (7, 7, {"live": "green", "epoch": 9, "from": 7}, True),
        (7, 20, {"live": "green", "epoch": 20}, True),
        # An edge host that has slept through switches.
        (7, 7, {"live": "green", "epoch": 9}, False),
        (7, 7, {"live": "green", "epoch": 9, "from": 8}, False),
        (3, 3, {"live": "blue", "epoch": 9, "from": 8}, False),
    ],
)
def test_an_edge_host_that_is_behind_the_record_is_not_believed(
    epoch: int, highest: int, noted: dict[str, Any], believed: bool
) -> None:
    found = edges.together([answer("edge1", epoch, highest_epoch=highest), dead("edge2")])
    problem = edges.outdated(found, noted)
    if believed:
        assert problem == ""
    else:
        record = f"the record off the edge says that {noted['live']} is live at epoch {noted['epoch']}"
        says = f"edge1 says that blue is live at epoch {epoch}, but {record}; edge2 does not answer"
        assert problem == says


def test_a_lost_state_is_another_problem_than_an_old_one() -> None:
    for lost in ({"state_lost": True}, {"live": None}):
        assert edges.outdated(edges.together([answer("edge1", **lost)]), {"live": "green", "epoch": 99}) == ""


@pytest.mark.parametrize(
    ("given", "noted", "state", "problem"),
    [
        (None, {}, {}, ""),
        (None, {}, {"live": None}, ""),
        (None, {"live": "blue", "epoch": 7}, {"live": None}, "The edge has lost its record of the live slot"),
        (None, {}, {"state_lost": True}, "The edge has lost its record of the live slot"),
        ("blue", {}, {"state_lost": True}, ""),
        (None, {"live": "green", "epoch": 99}, {}, "Repair the edge hosts that do not answer, or find out"),
        ("green", {"live": "green", "epoch": 99}, {}, ""),
        ("green", {"live": "blue", "epoch": 7}, {}, "Run again without -e live=green, or cut over with -e to=green."),
        ("blue", {"live": "blue", "epoch": 7}, {}, ""),
    ],
)
def test_a_run_refuses_to_guess_which_slot_is_live(
    given: str | None, noted: dict[str, Any], state: dict[str, Any], problem: str
) -> None:
    found = edges.doubt(edges.together([answer("edge1", 7, **state)]), noted, given)
    assert problem in found
    assert bool(found) == bool(problem)


def test_one_whose_workers_lag_is_behind_and_one_without_workers_is_not() -> None:
    found = edges.together([answer("edge1", in_force=False), answer("edge2", in_force=False, running=False)])
    assert found["behind"] == ["edge1"]


def test_an_operation_on_any_of_them_is_under_way() -> None:
    found = edges.together([answer("edge1", 8), answer("edge2", 7, operation="run-1", phase="prepared")])
    assert (found["operation"], found["phase"]) == ("run-1", "prepared")
    assert edges.together([answer("edge1")])["operation"] is None


def test_one_with_the_same_number_for_something_else_is_behind() -> None:
    assert edges.together([answer("edge1", 8), answer("edge2", 8, "green")])["behind"] == ["edge2"]


def test_an_operation_has_the_name_that_its_operator_gave_it() -> None:
    both = [answer("edge1", operation="adopted", phase="canary"), answer("edge2", operation="run-1", phase="canary")]
    assert edges.together(both)["operation"] == "run-1"
    assert edges.together(both[:1])["operation"] == "adopted"


def test_connections_of_all_edges_count() -> None:
    unknown = {"blue": {"current": None}, "green": {"current": 3}}
    found = edges.together([answer("edge1"), answer("edge2"), answer("edge3", connections=unknown)])
    assert found["connections"] == {"blue": 4, "green": 3}


@pytest.mark.parametrize(
    ("live", "weight", "recorded", "epoch"),
    [("blue", 0, 0, 7), ("blue", 0, 20, 7), ("green", 0, 0, 8), ("blue", 5, 7, 8), ("green", 0, 20, 21)],
)
def test_a_change_gets_a_number_that_nobody_has_seen(live: str, weight: int, recorded: int, epoch: int) -> None:
    assert edges.epoch_for(edges.together([answer("edge1")]), live, weight, recorded) == epoch


@pytest.mark.parametrize(("epoch", "recorded", "number"), [(0, 8, 9), (8, 8, 9), (0, 0, 1)])
def test_a_record_that_is_lost_is_made_anew_under_a_number_that_nobody_has_seen(
    epoch: int, recorded: int, number: int
) -> None:
    lost = answer("edge1", epoch, "green", state_lost=True, disk={"state": None, "damage": "", "map": None})
    assert edges.epoch_for(edges.together([lost]), "green", 0, recorded) == number


def test_the_record_off_the_edge_is_read() -> None:
    assert edges.notes("") == {}
    assert edges.notes('{"live": "green", "epoch": 8}\n') == {"live": "green", "epoch": 8}


def test_the_record_off_the_edge_is_read_on_a_host_that_is_also_an_app_host() -> None:
    slots = '{\n "slot": "blue",\n "services": {}\n}\n'
    assert edges.notes(slots + '{"live": "green", "epoch": 8}\n') == {"live": "green", "epoch": 8}
    assert edges.notes(slots) == {}
    with pytest.raises(ValueError, match="Unterminated"):
        edges.notes(slots + '{"live": "gre')


def test_edge_hosts_that_did_not_do_what_they_were_asked_for_are_named() -> None:
    failed = {"item": "edge2", "msg": "refused"}
    assert edges.failures([answer("edge1"), failed, {"item": "edge3", "unreachable": True}]) == {
        "edge2": "refused",
        "edge3": "does not answer",
    }


def test_an_operation_is_told_with_its_own_deadline() -> None:
    late = answer("edge2", operation="run-1", phase="draining", deadline="2026-01-31T12:05:00Z", overdue=True)
    found = edges.together([answer("edge1", 8), late])
    assert (found["phase"], found["deadline"], found["overdue"]) == ("draining", "2026-01-31T12:05:00Z", True)


def test_what_is_prepared_somewhere_keeps_its_number() -> None:
    found = edges.together([answer("edge1"), answer("edge2", highest_epoch=12, operation="run-1", phase="prepared")])
    assert edges.epoch_for(found, "blue", 0, 0) == 13
    assert edges.is_new(found, "blue")


@pytest.mark.parametrize(
    ("value", "slot", "routes"),
    [
        ("7:blue:-:0", "blue", True),
        ("7:blue:-:0", "green", False),
        ("7:blue:green:0", "green", False),
        ("7:blue:green:5", "green", True),
    ],
)
def test_who_may_still_send_requests_to_a_slot(value: str, slot: str, routes: bool) -> None:
    expected = [f"edge1, map on disk: {value}", f"edge1, worker 123: {value}"] if routes else []
    assert edges.routed([answer("edge1", value=value)], slot) == expected


def test_a_worker_that_does_not_answer_may_route_anywhere() -> None:
    mute = {"name": "77", "old": True, "value": None, "agrees": False, "problem": "no answer"}
    empty = mute | {"name": "78", "problem": ""}
    assert edges.routed([answer("edge1", workers=[mute, empty])], "green") == ["edge1, worker 77: does not answer"]


def test_a_summary_says_who_serves_and_what_runs() -> None:
    answers = [
        answer(host, weight=5, candidate="green", operation="run-1", phase="canary", deadline="2026-01-31T12:05:00Z")
        for host in ("edge1", "edge2")
    ]
    answers[1]["workers"].append({"name": "9", "old": True, "value": "6:green:-:0", "agrees": False, "problem": ""})
    answers[1]["in_force"] = False
    found = edges.together([*answers, dead("edge3")])
    running = {"app1": ["portal-blue running", "portal-green exited", "blueprint running"]}
    said = status.summary(found, {"blue": description("blue", "1.0")}, running, {}, GROUPS)
    assert said["live slot"] == "blue"
    assert said["operation"] == "run-1: canary, green gets 5 %, until 2026-01-31T12:05:00Z"
    assert said["edge hosts"] == {
        "edge1": {"disk": "blue at epoch 7", "load balancer": "in effect"},
        "edge2": {"disk": "blue at epoch 7", "load balancer": "not in effect", "worker 9 (old)": "6:green:-:0"},
        "edge3": "does not answer",
    }
    assert said["slots"] == {
        "blue": {
            "serves": "95 %",
            "release": "1.0",
            "open requests": 4,
            "runs": {"app1": ["portal-blue running"]},
        },
        "green": "never deployed",
    }


def test_a_summary_names_silent_peers_and_a_state_that_nobody_confirms() -> None:
    peers = {"192.0.2.2": "timed out", "192.0.2.3": None}
    found = edges.together(
        [answer("edge1", peers=peers, unconfirmed=True), answer("edge2", peers={}, unconfirmed=False)]
    )
    said = status.summary(found, BOTH, {}, {}, GROUPS)["edge hosts"]
    fine = {"disk": "blue at epoch 7", "load balancer": "in effect"}
    assert said == {
        "edge1": {
            **fine,
            "edge host 192.0.2.2": "timed out",
            "confirmed": "by no other edge host since HAProxy started, so it may be old",
        },
        "edge2": fine,
    }


def test_a_summary_of_an_idle_environment() -> None:
    said = status.summary(edges.together([answer("edge1")]), BOTH, {}, {}, GROUPS)
    assert said["operation"] == "none"
    assert [said["slots"][slot]["serves"] for slot in ("blue", "green")] == ["all traffic", "no traffic"]


@pytest.mark.parametrize(
    ("toggles", "shown"),
    [
        ({"new_checkout": True, "banner": True, "test_endpoints": False}, "banner, new_checkout"),
        ({"new_checkout": False}, "none"),
        # No service has any, or the bundle is of an earlier version.
        ({}, None),
        (None, None),
    ],
)
def test_a_summary_names_the_toggles_that_are_on_in_a_slot(toggles: dict[str, bool] | None, shown: str | None) -> None:
    bundles = {**BOTH, "green": {**BOTH["green"], **({} if toggles is None else {"toggles": toggles})}}
    said = status.summary(edges.together([answer("edge1")]), bundles, {}, {}, GROUPS)
    assert said["slots"]["green"].get("toggles on") == shown
    assert "toggles on" not in said["slots"]["blue"]


def test_containers_by_host() -> None:
    portal = {"Name": "portal-blue", "State": {"Status": "running"}}
    results: dict[str, dict[str, Any]] = {
        "app1": {"containers": [portal]},
        "app2": {"containers": []},
        "app3": {"unreachable": True, "msg": "no route"},
    }
    hostvars = {host: {"status_containers": result} for host, result in results.items()}
    # One that --limit leaves out was not asked.
    assert status.containers({**hostvars, "app5": {}}, [*results, "app5"]) == {
        "app1": ["portal-blue running"],
        "app2": [],
        "app3": "does not answer",
    }


def test_a_summary_names_the_dead_and_tells_the_rest() -> None:
    found = edges.together([answer("edge1")])
    running = {"app1": "does not answer", "app2": ["jobs-blue running", "portal-blue running"]}
    said = status.summary(found, {"blue": BOTH["blue"]}, running, {}, GROUPS)
    assert said["app hosts"] == {"app1": "does not answer", "app2": "in order"}
    assert said["slots"]["blue"]["runs"] == running
    assert said["slots"]["green"] == "never deployed"
    # What each slot is lies on the app hosts.
    everybody = dict.fromkeys(("app1", "app2"), "does not answer")
    said = status.summary(found, {}, everybody, {}, GROUPS)
    assert said["slots"] == {"blue": "unknown", "green": "unknown"}
    assert "to do" not in said


RIGHT = {"app1": ["portal-blue", "jobs-blue", "clock-blue"], "app2": ["portal-blue", "jobs-blue"]}


@pytest.mark.parametrize(
    ("more", "less", "wrong"),
    [
        ([], [], []),
        # Both slots' own services may run; who is neither's, too.
        (["portal-green", "jobs-blueprint"], [], []),
        (["jobs-green"], [], ["jobs-green is running, but green is idle"]),
        ([], ["jobs-blue"], ["jobs-blue is not running, but blue is live"]),
        (
            ["jobs-green"],
            ["jobs-blue"],
            ["jobs-green is running, but green is idle", "jobs-blue is not running, but blue is live"],
        ),
        # One in the environment is enough.
        (["clock-blue"], [], ["clock-blue is running, but belongs on another host"]),
    ],
)
def test_a_summary_says_what_is_beside_the_wrong_slot(more: list[str], less: list[str], wrong: list[str]) -> None:
    names = RIGHT | {"app2": [name for name in [*RIGHT["app2"], *more] if name not in less]}
    running = {host: [f"{name} running" for name in own] for host, own in names.items()}
    running["app2"] += [f"{name} exited" for name in less]
    said = status.summary(edges.together([answer("edge1")]), BOTH, running, {}, GROUPS)
    assert said["app hosts"] == {"app1": "in order", "app2": wrong or "in order"}
    assert ("to do" in said) == bool(wrong)
    assert all(line.startswith("Run playbooks/cutover.yml:") for line in said.get("to do", []))


def test_a_cut_over_that_is_not_over_may_still_put_it_right() -> None:
    found = edges.together([answer("edge1", operation="run-1", phase="live", deadline="2026-01-31T12:05:00Z")])
    said = status.summary(found, BOTH, {"app2": ["jobs-green running"]}, {}, GROUPS)
    (line,) = said["to do"]
    assert line.startswith("check again when run-1 is over; if no run continues it, run playbooks/cutover.yml")


def test_a_summary_names_services_that_crash_with_the_slot_and_the_host() -> None:
    running: dict[str, Any] = {host: [f"{name} running" for name in names] for host, names in RIGHT.items()}
    running["app3"] = "does not answer"
    looping = {"state": "activating (auto-restart)", "restarts": 12, "started": 5}
    readings = {"app1": {"jobs-green.service": looping}, "app2": {"jobs-green.service": {**looping, "state": "active"}}}
    said = status.summary(edges.together([answer("edge1")]), BOTH, running, {}, GROUPS, readings=readings)
    restarting = ["jobs-green.service is restarting"]
    assert said["app hosts"] == {"app1": restarting, "app2": "in order", "app3": "does not answer"}
    assert [line.partition(":")[0] for line in said["slots"]["green"]["crashes"]] == [
        "jobs-green.service on app1",
        "jobs-green.service on app2",
    ]
    assert "crashes" not in said["slots"]["blue"]
    # No cutover would repair it.
    assert "to do" not in said


FINE = {"state": "active (running)", "restarts": 0, "started": 5}
GONE = {"state": "inactive (dead)", "restarts": 0, "started": 5}


def units(**changed: dict[str, Any]) -> dict[str, Any]:
    """What systemd says on both app hosts, but for some units ("app1 portal-blue")."""
    said = {
        host: {f"{name}-{slot}.service": FINE for name in ("portal", "jobs", "clock") for slot in ("blue", "green")}
        for host in ("app1", "app2")
    }
    for where, reading in changed.items():
        host, _, unit = where.partition("_")
        said[host][f"{unit.replace('_', '-')}.service"] = reading
    return said


def health(blue: bool = True, green: bool = True, down: Sequence[str] = ()) -> dict[str, Any]:
    """What an edge host's HAProxy says of the servers of both slots."""
    return {
        slot: {
            f"portal_http_{slot}": {"healthy": healthy, "down": list(down) if healthy else ["app1", "app2"]},
            f"shop_http_{slot}": {"healthy": True, "down": []},
        }
        for slot, healthy in (("blue", blue), ("green", green))
    }


RUNNING = {host: [f"{name} running" for name in names] for host, names in RIGHT.items()}


def test_a_live_slot_whose_service_is_stopped_everywhere_is_the_first_thing_that_is_told() -> None:
    found = edges.together([answer(host, health=health(blue=False), previous="green") for host in ("edge1", "edge2")])
    readings = units(app1_portal_blue=GONE, app2_portal_blue={**GONE, "state": "failed (failed)"})
    said = status.summary(found, BOTH, RUNNING, {}, GROUPS, readings=readings)
    assert list(said)[:2] == ["problems", "live slot"]
    assert said["problems"] == [
        "blue is live, but no server of portal_http_blue is healthy (seen by edge1, edge2): its requests fail",
        "blue is live, but portal-blue.service does not run on app1, app2",
    ]
    assert said["app hosts"] == {
        "app1": ["portal-blue.service is inactive (dead), but blue is live"],
        "app2": ["portal-blue.service is failed (failed), but blue is live"],
    }
    assert said["to do"] == [
        "on app1, app2: sudo systemctl start portal-blue.service; "
        "sudo journalctl -u portal-blue.service says why it does not run",
        "or run playbooks/rollback.yml: green, release 1.1, can serve",
    ]


def test_no_rollback_is_advised_that_would_be_refused() -> None:
    found = edges.together([answer("edge1", health=health(blue=False, green=False), previous="green")])
    said = status.summary(found, BOTH, RUNNING, {}, GROUPS, readings=units())
    assert said["previous slot"] == "green, but a rollback would be refused: no server of portal_http_green is healthy"
    assert said["to do"] == ["on the app hosts: sudo journalctl -u '*-blue.service' says why health checks fail"]


def test_a_server_that_fails_its_check_is_told_with_its_slot() -> None:
    found = edges.together([answer("edge1", health=health(down=["app2"])), answer("edge2", health=None)])
    said = status.summary(found, BOTH, RUNNING, {}, GROUPS, readings=units())
    for slot in ("blue", "green"):
        assert said["slots"][slot]["unhealthy"] == [
            f"portal_http_{slot} on app2 fails its health check (seen by edge1)"
        ]
    assert "problems" not in said
    assert "to do" not in said


def test_a_stopped_service_of_the_idle_slot_is_told_with_the_slot_alone() -> None:
    found = edges.together([answer("edge1", health=health(), previous="green")])
    readings = units(app2_portal_green=GONE, app2_jobs_green=GONE)
    said = status.summary(found, BOTH, RUNNING, {}, GROUPS, readings=readings)
    assert said["slots"]["green"]["down"] == ["portal-green.service on app2 is inactive (dead)"]
    assert said["app hosts"] == {"app1": "in order", "app2": "in order"}
    assert {"problems", "to do"}.isdisjoint(said)
    # A planned stop has stopped it.
    stops = {"app2": {"slot": "green", "at": "2026-01-31T13:00:00Z", "says": "stopped"}}
    assert "down" not in status.summary(found, BOTH, RUNNING, stops, GROUPS, readings=readings)["slots"]["green"]


def test_a_service_that_is_only_starting_is_not_down() -> None:
    readings = units(app1_portal_blue={**GONE, "state": "activating (start)"})
    said = status.summary(edges.together([answer("edge1")]), BOTH, RUNNING, {}, GROUPS, readings=readings)
    assert said["app hosts"] == {"app1": "in order", "app2": "in order"}


def test_ops_hosts_and_who_holds_the_lock_are_told() -> None:
    found = edges.together([answer("edge1")])
    groups = {**GROUPS, "ops": ["ops1", "ops2"]}
    said = status.summary(found, BOTH, {}, {}, groups, silent=["ops2", "app1"], lock="free")
    assert said["ops hosts"] == {"ops1": "answers", "ops2": "does not answer"}
    assert said["lock"] == "free"
    assert "ops hosts" not in status.summary(found, BOTH, {}, {}, GROUPS)


HOLDER = {
    "id": "20260131T120000Z-abcdef",
    "user": "ada",
    "host": "desk",
    "pid": 4711,
    "playbook": "site.yml",
    "since": "2026-01-31T12:00:00Z",
}
WHO = "ada@desk (process 4711, site.yml, since 2026-01-31T12:00:00Z), run 20260131T120000Z-abcdef"


@pytest.mark.parametrize(
    ("renewed", "told"),
    [
        (95.0, f"held by {WHO}"),
        (70.0, f"free: {WHO} ended without releasing it"),
        # From before a restart of the host.
        (5000.0, f"free: {WHO} ended without releasing it"),
        (None, "free"),
    ],
)
def test_the_holder_of_the_lock_is_told(renewed: float | None, told: str) -> None:
    lock = "" if renewed is None else json.dumps({**HOLDER, "renewed": renewed})
    record = '{"live": "blue", "epoch": 7}\n'
    text = f'100.25 350.11\n{lock}\n/etc/greenroom/slots/blue/bundle.json:"release_id": "ab"\n{record}'
    assert lock_holders.holders({"ops1": text}, 20) == told
    assert edges.notes(text) == {"live": "blue", "epoch": 7}
    assert edges.notes(f"100.25 350.11\n{lock}\n") == {}
    assert lock_holders.holders({"edge1": text, "edge2": text}, 20) == told
    assert lock_holders.holders({"ops1": None}, 20) == "unknown: its host does not answer"
    several = lock_holders.holders({"edge1": text, "edge2": None}, 20)
    assert several == f"on edge1: {told}; on edge2: unknown: its host does not answer"


@pytest.mark.parametrize(("live", "bundles"), [(None, BOTH), ("blue", {"green": BOTH["green"]})])
def test_nothing_is_beside_the_wrong_slot_where_the_right_one_is_not_known(
    live: str | None, bundles: dict[str, Any]
) -> None:
    found = edges.together([answer("edge1")]) | {"live": live}
    said = status.summary(found, bundles, {"app2": ["jobs-green running"]}, {}, GROUPS)
    assert said["app hosts"] == {"app2": "in order"}


def test_a_summary_says_when_a_slot_is_to_be_stopped_and_what_came_of_it() -> None:
    at = "2026-01-31T13:00:00Z"
    stops = {
        "app1": {"slot": "green", "at": at, "says": ""},
        "app2": {"slot": "green", "at": at, "says": "stopped"},
    }
    found = edges.together([answer("edge1")])
    said = status.summary(found, BOTH, {"app2": ["portal-blue running"]}, stops, GROUPS)["slots"]
    assert "stop" not in said["blue"]
    assert said["green"]["stop"] == {
        "app1": f"planned for {at}",
        "app2": f"stopped (planned for {at})",
    }
    assert said["green"]["runs"] == {"app2": []}


def test_a_slot_whose_deploy_did_not_finish_says_so() -> None:
    unfinished = {"green": "it died on app2"}
    said = status.summary(edges.together([answer("edge1")]), BOTH, {}, {}, GROUPS, unfinished=unfinished)["slots"]
    assert "unfinished" not in said["blue"]
    assert said["green"]["unfinished"] == "it died on app2"


def test_a_slot_whose_release_would_not_start_again_says_so() -> None:
    why = {"blue": "portal-blue ended with exit code 1"}
    said = status.summary(edges.together([answer("edge1")]), BOTH, {}, {}, GROUPS, not_starting=why)["slots"]
    assert said["blue"]["restart"] == "would fail: portal-blue ended with exit code 1"
    assert "restart" not in said["green"]


SAME = "not the same as in {}, although it has the same name"


@pytest.mark.parametrize(
    ("blue", "green", "shown"),
    [
        ("1.0", "1.1", ("aaaaaaaaaaaa", "bbbbbbbbbbbb")),
        ("1.1", "1.1", (f"aaaaaaaaaaaa: {SAME.format('green')}", f"bbbbbbbbbbbb: {SAME.format('blue')}")),
    ],
)
def test_a_summary_tells_releases_of_the_same_name_apart(blue: str, green: str, shown: tuple[str, str]) -> None:
    bundles = {"blue": description("blue", blue, "a" * 64), "green": description("green", green, "b" * 64)}
    assert release_ids(bundles) == shown


def test_the_same_release_in_both_slots_has_one_id() -> None:
    bundles = {slot: description(slot, "1.1", "a" * 64) for slot in ("blue", "green")}
    assert release_ids(bundles) == ("a" * 12, "a" * 12)


def test_without_ids_the_images_tell_releases_apart() -> None:
    """As with bundles of an earlier version."""
    bundles = {slot: {**description(slot, "1.1"), "images": {"portal": slot}} for slot in ("blue", "green")}
    assert release_ids(bundles) == (f"unknown: {SAME.format('green')}", f"unknown: {SAME.format('blue')}")
    assert release_ids({slot: {**bundle, "images": {}} for slot, bundle in bundles.items()}) == (None, None)
    only = {"green": description("green", "1.1", "b" * 64)}
    assert release_ids(only) == (None, "b" * 12)


def release_ids(bundles: dict[str, Any]) -> tuple[str | None, str | None]:
    """The ID that a summary shows of each slot."""
    said = status.summary(edges.together([answer("edge1")]), bundles, {}, {}, GROUPS)["slots"]
    blue, green = (None if isinstance(slot, str) else slot.get("release ID") for slot in said.values())
    return blue, green
