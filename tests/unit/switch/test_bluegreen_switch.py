# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module bluegreen_switch: arguments, check mode, diff, truth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.common import durable
from ansible.module_utils.greenroom.switch import bluegreen
from fake_haproxy import FakeHaproxy, FakeWorker
from modules import run_module


class Edge:
    """An edge host in a folder, and the module called on it."""

    def __init__(self, folder: Path) -> None:
        self.state_file, self.map_file = folder / "state.json", folder / "live.map"
        self.proxy = FakeHaproxy(folder, str(self.map_file))

    def call(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        places = {
            "state_file": str(self.state_file),
            "map_file": str(self.map_file),
            "socket": self.proxy.runtime_socket,
            "master_socket": self.proxy.master_socket,
        }
        return run_module("bluegreen_switch", check=check, diff=True, **{"site": "staging", **places, **arguments})

    def disk(self) -> list[str]:
        return [path.read_text() if path.exists() else "" for path in (self.state_file, self.map_file)]


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


def test_repeating_a_switch_changes_nothing(edge: Edge) -> None:
    with edge.proxy.running():
        first = edge.call(live="blue")
        again = edge.call(live="blue")
    assert (first["changed"], first["repaired"]) == (True, ["state", "map", "worker 100"])
    assert (again["changed"], again["repaired"]) == (False, [])
    assert first["diff"] == {
        "before": "state: none\nmap: none\nworker 100: none\n",
        "after": "state: 1:blue:-:0:-\nmap: 1:blue:-:0:-\nworker 100: 1:blue:-:0:-\n",
    }
    assert again["diff"]["before"] == again["diff"]["after"] == first["diff"]["after"]
    for result in (first, again):
        assert (result["live"], result["idle"], result["epoch"], result["in_force"]) == ("blue", "green", 1, True)


def test_status_changes_nothing_and_creates_no_files(edge: Edge) -> None:
    result = edge.call(state="status")
    assert (result["changed"], result["live"], result["running"]) == (False, None, False)
    assert not edge.state_file.parent.joinpath("state.json.lock").exists()
    assert edge.disk() == ["", ""]


def test_status_looks_at_no_option_of_a_switch(edge: Edge) -> None:
    # As in a task whose other options are for the switch that it may also be.
    result = edge.call(state="status", weight=50, deadline=0)
    assert (result.get("failed", False), result["live"]) == (False, None)


def test_check_mode_writes_nothing_and_predicts_what_a_run_does(edge: Edge) -> None:
    with edge.proxy.running() as proxy:
        edge.call(live="blue")
        proxy.workers["99"] = FakeWorker(None, old=True)
        proxy.workers["98"] = FakeWorker({"staging": "1:blue:-:0:-"}, old=True)
        before = edge.disk()
        commands = len(proxy.commands)
        predicted = edge.call(check=True, live="green", expected_epoch=1)
        assert edge.disk() == before
        assert all(" map " not in command or "show map" in command for command in proxy.commands[commands:])
        done = edge.call(live="green", expected_epoch=1)
    for key in ("changed", "repaired", "live", "idle", "epoch", "diff"):
        assert predicted[key] == done[key]
    assert predicted["repaired"] == ["state", "map", "worker 100", "worker 98"]


def test_check_mode_without_a_difference_reports_no_change(edge: Edge) -> None:
    with edge.proxy.running():
        edge.call(live="blue")
        result = edge.call(check=True, live="blue")
    assert (result["changed"], result["in_force"]) == (False, True)


def test_check_mode_predicts_repairs(edge: Edge) -> None:
    with edge.proxy.running() as proxy:
        edge.call(live="blue")
        proxy.workers["100"].entries = {"staging": "9:green:-:0"}
        result = edge.call(check=True, live="blue")
        assert (result["changed"], result["repaired"], result["in_force"]) == (True, ["worker 100"], False)
        assert edge.call(live="blue")["repaired"] == ["worker 100"]


def test_a_refusal_is_one_clear_line(edge: Edge) -> None:
    edge.call(live="blue")
    edge.call(live="green")
    result = edge.call(live="blue", expected_epoch=1)
    assert result["failed"]
    assert result["msg"].startswith("refused: expected epoch 1, but it is 2: green is live since 20")
    edge.state_file.unlink()
    result = edge.call(check=True, live="green")
    assert result["msg"].endswith("set `live` to it, with recover: true")
    assert edge.call(live="green", recover=True)["epoch"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"live": "red"}, "red"),
        ({"site": "a b", "live": "blue"}, "is not a valid site name"),
        (
            {"map_file": "/etc/haproxy/a b.map", "live": "blue"},
            "absolute path with only letters, digits, dots, dashes and underscores",
        ),
        ({}, "set `live` to the live slot"),
        ({"live": "blue", "expected_epoch": "x"}, "expected_epoch"),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_written(
    edge: Edge, arguments: dict[str, Any], message: str
) -> None:
    result = edge.call(**arguments)
    assert result["failed"]
    assert message in result["msg"]
    assert edge.disk() == ["", ""]


def test_draining_returns_the_open_connections_of_each_slot(edge: Edge) -> None:
    with edge.proxy.running() as proxy:
        edge.call(live="blue")
        edge.call(live="green", operation="x")
        proxy.workers["100"].sessions = {"portal_http_blue": 3}
        result = edge.call(state="draining", operation="x", live="green")
    assert (result["phase"], result["connections"]["blue"]["current"]) == ("draining", 3)


def test_a_drain_ends_the_operation_when_the_slot_is_empty_and_not_before(edge: Edge) -> None:
    with edge.proxy.running() as proxy:
        edge.call(live="blue")
        edge.call(live="green", operation="x")
        proxy.workers["100"].sessions = {"portal_http_blue": 3}
        wish: dict[str, Any] = {"state": "draining", "operation": "x", "live": "green", "finish": True}
        assert edge.call(**wish)["phase"] == "draining"
        proxy.workers["100"].sessions = {}
        foreseen = edge.call(check=True, **wish)
        assert (foreseen["phase"], edge.call(state="status")["phase"]) == ("draining", "draining")
        result = edge.call(**wish)
    assert (result["phase"], result["operation"], result["changed"]) == ("idle", None, True)
    assert (result["live"], result["connections"]["blue"]["current"]) == ("green", 0)


def test_a_drain_may_wait_until_the_slot_is_empty(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    with edge.proxy.running() as proxy:
        edge.call(live="blue")
        edge.call(live="green", operation="x")
        proxy.workers["100"].sessions = {"portal_http_blue": 3, "portal_http_green": 5}
        wish: dict[str, Any] = {"state": "draining", "operation": "x", "live": "green", "finish": True}
        assert edge.call(**wish, drain_timeout=0.01)["connections"]["blue"]["current"] == 3
        monkeypatch.setattr(time, "sleep", lambda _seconds: proxy.workers["100"].sessions.pop("portal_http_blue"))
        result = edge.call(**wish, drain_timeout=60)
    assert (result["phase"], result["connections"]["blue"]["current"]) == ("idle", 0)


def test_after_a_rollback_there_is_nothing_to_roll_back_to(edge: Edge) -> None:
    wish: dict[str, Any] = {"operation": "rollback-1", "live": "blue", "final": True}
    with edge.proxy.running() as proxy:
        edge.call(live="blue")
        assert edge.call(live="green")["previous"] == "blue"
        prepared = edge.call(state="prepared", **wish)
        assert (prepared["previous"], prepared["next"]) == ("blue", "3:blue:-:0:-")
        # The commit of a prepared step, as a run makes it.
        committed = edge.call(operation="rollback-1", epoch=3)
        assert (committed["previous"], committed["value"]) == ("", "3:blue:-:0:-")
        assert edge.call(state="finished", operation="rollback-1")["previous"] == ""
        assert proxy.values("staging") == {"100": "3:blue:-:0:-"}
        # An abort returns to what was before.
        edge.call(state="prepared", operation="rollback-2", live="green", final=True)
        edge.call(operation="rollback-2", epoch=4)
        assert edge.call(state="aborted", operation="rollback-2", epoch=5)["value"] == "5:blue:-:0:-"
        # A cutover leaves a way back again.
        assert edge.call(live="green")["previous"] == "blue"


def test_the_health_of_each_slots_servers_is_told(edge: Edge) -> None:
    with edge.proxy.running() as proxy:
        edge.call(live="blue")
        proxy.workers["100"].sessions = {"portal_http_blue": 3, "kratos_public_blue": 0, "portal_http_green": 0}
        proxy.workers["100"].ill = {"portal_http_blue", "kratos_public_blue/app2"}
        assert edge.call(state="status")["health"] == {
            "blue": {
                "portal_http_blue": {"healthy": False, "down": ["app1", "app2"]},
                "kratos_public_blue": {"healthy": True, "down": ["app2"]},
            },
            "green": {"portal_http_green": {"healthy": True, "down": []}},
        }
    # HAProxy is not running.
    assert edge.call(state="status")["health"] is None


def test_a_slot_without_a_healthy_server_is_refused_with_its_hosts_and_units(edge: Edge) -> None:
    with edge.proxy.running() as proxy:
        edge.call(live="blue")
        proxy.workers["100"].sessions = {"portal_http_green": 0, "kratos_public_green": 0}
        proxy.workers["100"].ill = {"portal_http_green"}
        wish: dict[str, Any] = {"state": "prepared", "operation": "x", "live": "green", "healthy": True}
        refused = edge.call(**wish, timeout=0.1)
        assert refused["msg"].startswith(
            "refused: no server of portal_http_green (app1, app2) is healthy, so green gets no traffic. "
            "There, sudo systemctl status '*-green.service' says why."
        )
        proxy.workers["100"].ill = {"portal_http_green/app1"}
        assert edge.call(**wish)["phase"] == "prepared"


def test_a_canary_that_runs_is_shown(edge: Edge) -> None:
    state = bluegreen.State("staging", 4, "blue", "green", 5)
    durable.write(str(edge.state_file), state.as_json().encode())
    result = edge.call(state="status")
    assert (result["live"], result["candidate"], result["weight"]) == ("blue", "green", 5)


def test_a_deploy_gives_up_the_rollback_and_counts_connections_in_one_call(edge: Edge) -> None:
    with edge.proxy.running() as proxy:
        edge.call(live="blue")
        before = edge.call(live="green")
        assert (before["previous"], before["value"]) == ("blue", "2:green:-:0:blue")
        proxy.workers["100"].sessions = {"portal_http_blue": 3}
        wish: dict[str, Any] = {"state": "replacing", "live": "green", "drain_timeout": 0.01}
        predicted = edge.call(check=True, **wish)
        result = edge.call(**wish)
        assert predicted["repaired"] == result["repaired"] == ["state", "map", "worker 100"]
        assert (result["previous"], result["epoch"], result["value"]) == ("", 2, "2:green:-:0:-")
        assert result["connections"]["blue"]["current"] == 3
        # The option is for a drain.
        assert edge.call(**wish, finish=True)["changed"] is False
        assert proxy.values("staging") == {"100": "2:green:-:0:-"}


def test_an_edge_host_that_is_behind_takes_over_what_the_run_says(edge: Edge) -> None:
    """Its peers have gone on without it, and it can't reach them."""
    with edge.proxy.running() as proxy:
        edge.call(live="blue")
        wish: dict[str, Any] = {"state": "prepared", "live": "blue", "epoch": 9, "expected_epoch": 8, "operation": "x"}
        assert "expected epoch 8, but it is 1" in edge.call(**wish)["msg"]
        for _ in range(2):
            result = edge.call(**wish, newest="8:green:-:0:blue")
            assert (result["live"], result["previous"], result["next"]) == ("green", "blue", "9:blue:-:0:green")
        assert proxy.values("staging") == {"100": "8:green:-:0:blue"}
        result = edge.call(epoch=9, operation="x", newest="8:green:-:0:blue")
        assert (result["value"], result["phase"]) == ("9:blue:-:0:green", "live")
        # What is older than its own state changes nothing.
        assert edge.call(newest="8:green:-:0:blue")["changed"] is False


def test_an_edge_host_that_lost_its_state_takes_over_what_the_run_says(edge: Edge) -> None:
    wish: dict[str, Any] = {"state": "prepared", "live": "blue", "epoch": 9, "expected_epoch": 8, "operation": "x"}
    edge.map_file.write_text("staging 7:blue:-:0:-\n")
    result = edge.call(**wish, newest="8:green:-:0:blue")
    assert (result["live"], result["next"]) == ("green", "9:blue:-:0:green")
    # HAProxy here has something newer than the others know: an operator must decide.
    edge.state_file.unlink()
    edge.map_file.write_text("staging 10:blue:-:0:-\n")
    assert edge.call(**wish, newest="8:green:-:0:blue")["failed"]


def test_an_edge_host_catches_up_although_the_request_is_refused(edge: Edge) -> None:
    """Two epochs with the same number: only a new one settles it, and the next run finds that."""
    edge.call(live="blue")
    wish: dict[str, Any] = {"state": "prepared", "live": "blue", "expected_epoch": 1, "operation": "x"}
    before = edge.disk()
    assert edge.call(check=True, **wish, newest="1:green:-:0:-")["failed"]
    assert edge.disk() == before
    assert "expected epoch 1, but it is 2: green is live" in edge.call(**wish, newest="1:green:-:0:-")["msg"]
    assert edge.call(state="status")["value"] == "2:green:-:0:-"


def test_an_invalid_newest_value_is_refused(edge: Edge) -> None:
    assert edge.call(live="blue", newest="nonsense")["msg"].startswith("newest: 'nonsense' is not epoch:live")
