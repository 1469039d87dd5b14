# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-stop: a slot that was left is stopped only where every edge host says that nobody is sent there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.switch import peers as switch_peers
from ansible.module_utils.greenroom.switch import slot_stop
from ansible.module_utils.greenroom.switch.peers import Peers

PLAN = {
    "site": "staging",
    "slot": "blue",
    "epoch": 9,
    "at": "2026-01-31T12:00:00Z",
    "units": ["portal-blue.service", "mailer-blue.service"],
    "edges": ["192.0.2.1", "192.0.2.2"],
    "port": 8406,
    "public_name": "portal.test",
    "ca_file": "/etc/greenroom/ca.crt",
}
LEFT = "9:green:-:0"


class Host:
    """An app host in a folder, and edge hosts that answer what is in `says`; None is no answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.says: dict[str, str | None] = dict.fromkeys(PLAN["edges"], LEFT)  # type: ignore[call-overload]
        self.called: list[list[str]] = []
        self.code = 0
        monkeypatch.setattr(switch_peers, "ask", self.ask)
        self.plan()

    def plan(self, **changes: Any) -> None:
        (self.folder / "plan.fact").write_text(json.dumps({**PLAN, **changes}))

    def ask(self, peers: Peers, address: str, _seconds: float) -> str:
        assert (peers.port, peers.name, peers.ca_file) == (8406, "portal.test", "/etc/greenroom/ca.crt")
        value = self.says[address]
        if value is None:
            raise TimeoutError("no route")
        return value

    def call(self, command: list[str]) -> int:
        self.called.append(command)
        return self.code

    def run(self) -> int:
        return int(slot_stop.main(str(self.folder / "plan.fact"), self.call))

    def result(self) -> str:
        found = json.loads((self.folder / "result.fact").read_text())
        assert (found["slot"], found["at"]) == ("blue", PLAN["at"])
        return str(found["says"])


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_the_previous_slot_is_stopped(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.run() == 0
    assert host.called == [["systemctl", "stop", "portal-blue.service", "mailer-blue.service"]]
    assert host.result() == "stopped"
    assert capsys.readouterr().out == "blue: stopped\n"


@pytest.mark.parametrize(
    "value",
    # The public is back; a share of it; it went back and forth. The same number for another position can't be.
    ["10:blue:-:0", "10:green:blue:5", "11:green:-:0", "9:blue:-:0", "9:green:blue:5"],
)
def test_a_later_switch_cancels_the_stop(host: Host, value: str) -> None:
    host.says["192.0.2.2"] = value
    assert host.run() == 0, "systemd does not try again"
    assert host.called == []
    assert host.result().startswith("not stopped: 192.0.2.2: traffic was switched again")


def test_one_edge_host_with_a_higher_epoch_cancels_the_stop(host: Host) -> None:
    host.says = {"192.0.2.1": "10:blue:-:0", "192.0.2.2": None}
    assert host.run() == 0
    assert host.called == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no route"),
        ("", "no slot is live there"),
        ("nonsense", "is not epoch:live"),
        ("8:blue:-:0", "is behind, at epoch 8"),
        ("8:green:-:0", "is behind, at epoch 8"),
    ],
)
def test_an_edge_host_that_does_not_respond_is_asked_again(host: Host, value: str | None, reason: str) -> None:
    host.says["192.0.2.1"] = value
    assert host.run() == slot_stop.AGAIN
    assert host.called == []
    assert "retrying every minute" in host.result()
    assert reason in host.result()
    # It has come back, and has caught up.
    host.says["192.0.2.1"] = LEFT
    assert host.run() == 0
    assert host.result() == "stopped"


def test_a_failed_stop_is_retried(host: Host) -> None:
    host.code = 1
    assert host.run() == slot_stop.AGAIN
    assert "systemctl stop failed (1)" in host.result()


def test_a_host_without_services_of_the_slot_stops_nothing(host: Host) -> None:
    host.plan(units=[])
    assert host.run() == 0
    assert host.called == []


def test_without_a_plan_nothing_happens(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    (host.folder / "plan.fact").unlink()
    assert host.run() == 0
    assert host.called == []
    assert capsys.readouterr().out == "no stop is planned\n"
    assert not (host.folder / "result.fact").exists()


@pytest.mark.parametrize("changes", [{"edges": []}, {"slot": "red"}, {"epoch": "9"}, {"epoch": None}])
def test_an_invalid_plan_stops_nothing(host: Host, changes: dict[str, Any]) -> None:
    host.plan(**changes)
    assert host.run() == 1
    assert host.called == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"slot": "blue"}'])
def test_an_unreadable_plan_stops_nothing(host: Host, text: str) -> None:
    (host.folder / "plan.fact").write_text(text)
    assert host.run() == 1
    assert host.called == []


def test_a_slot_does_not_stop_under_a_scheduled_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path, monkeypatch)
    host.plan(jobs=["shop-job-nightly-blue.service"])
    states = ["activating", "inactive"]

    def run(command: Sequence[str]) -> tuple[int, str]:
        assert command[-1] == "shop-job-nightly-blue.service"
        return 0, f"Id={command[-1]}\nActiveState={states.pop(0)}\n"

    assert slot_stop.main(str(tmp_path / "plan.fact"), host.call, run) == slot_stop.AGAIN
    assert host.called == []
    assert host.result() == "not stopped yet, retrying every minute: shop-job-nightly-blue.service still runs"
    assert slot_stop.main(str(tmp_path / "plan.fact"), host.call, run) == 0
    assert host.result() == slot_stop.STOPPED
