# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the drill's tasks make of hosts' answers."""

from __future__ import annotations

from ansible.module_utils.greenroom.controller.drill import load, results

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


def test_what_made_a_task_fail_is_told_with_its_hosts() -> None:
    assert results.trouble({"msg": "no such\nimage"}, "Send requests") == "Send requests: no such image"
    answers = [{"item": "edge1", "msg": "fine"}, {"item": "edge2", "failed": True, "msg": "HAProxy is silent"}]
    told = results.trouble({"msg": "One or more items failed", "results": answers}, "Look")
    assert told == "Look: edge2: HAProxy is silent"
    assert results.trouble({}, "Look") == "Look: failed"


def test_all_filters_have_their_names() -> None:
    assert all(name.startswith("drill_") for name in FilterModule().filters())
