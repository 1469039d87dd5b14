# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the drill's tasks make of hosts' answers."""

from __future__ import annotations

from ansible.module_utils.greenroom.controller.drill import cutover, load, results, scenarios

from plugins.filter.drill import FilterModule

EDGE = {"live": "blue", "epoch": 3, "phase": "idle", "in_force": True, "workers": ["much more"]}


def test_answers_are_kept_by_host() -> None:
    assert results.by_host([{"item": "app1", "running": ["a.service"]}], "running") == {"app1": ["a.service"]}
    wanted = {key: value for key, value in EDGE.items() if key != "workers"}
    assert results.edges([{"item": "edge1", **EDGE}]) == {"edge1": wanted}


def test_a_host_that_said_nothing_is_told_as_that() -> None:
    silent = {"item": "edge1", "unreachable": True}
    assert results.by_host([silent], "running") == {}
    assert set(results.edges([silent])["edge1"].values()) == {None}


def test_the_edge_that_has_the_address_is_found() -> None:
    answers = [
        {"item": "edge1", "ansible_facts": {"ansible_all_ipv4_addresses": ["192.0.2.11"]}},
        {"item": "edge2", "ansible_facts": {"ansible_all_ipv4_addresses": ["192.0.2.12", "192.0.2.10"]}},
    ]
    assert results.holder(answers, "192.0.2.10") == ["edge2"]
    assert results.holder(answers, "192.0.2.99") == []


def test_what_was_broken_says_where_and_when() -> None:
    (fault,) = results.faults([{"item": "app1", "at": 1.0, "ended": 2.0, "changed": True}], "stopped", ["a.service"])
    assert fault == {"host": "app1", "how": "stopped", "units": ["a.service"], "at": 1.0, "ended": 2.0}


def test_a_path_gets_requests_that_it_understands() -> None:
    assert load.load_options({}, "") == []
    assert load.load_options({"ws-10000": 0.5}, "") == ["--kind=ws-10000=0.5"]
    *kinds, path = load.load_options({}, "/about")
    assert path == "--path=/about"
    assert kinds
    assert all("-get-0=" in kind for kind in kinds)
    assert load.load_options({"h1-new-get-0": 1}, "/about") == ["--kind=h1-new-get-0=1", "--path=/about"]


def test_a_loads_rate_is_that_of_its_kinds() -> None:
    assert load.rate({"h1-new-get-0": 1, "ws-10000": 0.5}, "") == 1.5
    assert load.rate({}, "/about") == 45
    assert load.rate({}, "") == load.OWN_RATE


def test_the_load_tool_runs_longer_than_the_cutover_may_take() -> None:
    settings = {
        "url": "https://shop.invalid",
        "address": "192.0.2.10",
        "ca_file": "/ca.crt",
        "reports": "/reports",
        "run": "20260101T120000Z-ABC",
        "limit": 700,
        "visitors_only": False,
    }
    command = load.command(settings, {}, "/about")
    assert command[:5] == ["openloop", "--url", "https://shop.invalid", "--connect", "192.0.2.10"]
    assert command[5:13] == [
        "--ca-file",
        "/ca.crt",
        "--run",
        "20260101t120000z-abc",
        "--seconds",
        "1900",
        "--reports",
        "/reports",
    ]
    assert command[13:] == load.load_options({}, "/about")
    behind_password = load.command(settings | {"visitors_only": True}, {}, "")
    assert behind_password[13:] == ["--user", "visitor"]


def test_an_exempt_host_has_no_limit() -> None:
    assert load.edge_limit({"default": "600", "login": 10}, []) == 600
    assert load.edge_limit({"default": 600}, ["ops"]) == 0
    assert load.edge_limit({}, []) == 0
    assert load.edge_limit({"default": None}, []) == 0


def test_a_cutover_gets_the_options_of_its_scenario() -> None:
    assert cutover.arguments("none", "green", [25], 20) == ["-e", "to=green", "-e", "canary="]
    canary = ["-e", "to=green", "-e", "canary=5,25", "-e", "cutover_step_seconds=20"]
    assert cutover.arguments("edge-killed", "green", [5, 25], 20) == canary
    killed = [*canary, "-e", "cutover_timeout_seconds=20"]
    assert cutover.arguments("operator-killed", "green", [5, 25], 20) == killed


def test_only_the_scenario_that_kills_the_cutover_shortens_its_timeout() -> None:
    short = [name for name in scenarios.SCENARIOS if "timeout" in " ".join(cutover.arguments(name, "green", [25], 20))]
    assert short == ["operator-killed"]


def test_a_cutovers_timeout_covers_steps_bake_and_drain() -> None:
    assert cutover.limit([], 60, 0, 0) == cutover.MARGIN == 600
    assert cutover.limit([5, 25], 300, 60, 90) == 600 + 2 * 300 + 60 + 90


def test_each_slot_has_its_release() -> None:
    assert results.releases({"blue": {"release": "1.0", "services": {}}, "green": {"release": "1.1"}}) == {
        "blue": "1.0",
        "green": "1.1",
    }


def test_a_scenario_is_known_by_its_name() -> None:
    assert all(map(scenarios.known, scenarios.SCENARIOS))
    assert not scenarios.known("edge-kiled")


def test_what_made_a_task_fail_is_told_with_its_hosts() -> None:
    assert results.trouble({"msg": "no such\nimage"}, "Send requests") == "Send requests: no such image"
    answers = [{"item": "edge1", "msg": "fine"}, {"item": "edge2", "failed": True, "msg": "HAProxy is silent"}]
    told = results.trouble({"msg": "One or more items failed", "results": answers}, "Look")
    assert told == "Look: edge2: HAProxy is silent"
    assert results.trouble({}, "Look") == "Look: failed"


def test_all_filters_have_their_names() -> None:
    assert all(name.startswith("drill_") for name in FilterModule().filters())
