# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-live: after a reboot, an app host starts the background services of the slot that is live now."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.switch import peers as switch_peers
from ansible.module_utils.greenroom.switch import slot_live
from ansible.module_utils.greenroom.switch.peers import Peers

EDGES = ["192.0.2.1", "192.0.2.2"]


class Host:
    """An app host in a folder, and edge hosts that answer what is in `says`; None is no answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.says: dict[str, str | None] = dict.fromkeys(EDGES, "9:green:-:0")
        self.called: list[Sequence[str]] = []
        self.slept: list[float] = []
        self.after_sleep: dict[str, str | None] = {}
        monkeypatch.setattr(switch_peers, "ask", self.ask)
        files = {"site": "staging", "edges": EDGES, "port": 8406, "public_name": "portal.test", "ca_file": "/ca.crt"}
        (folder / "live.json").write_text(json.dumps({**files, "slots": str(folder)}))
        (folder / "blue.live").write_text("worker-blue.service\n")
        (folder / "green.live").write_text("mailer-green.service\nworker-green.service\n")

    def ask(self, peers: Peers, address: str, _seconds: float) -> str:
        assert (peers.port, peers.name, peers.ca_file) == (8406, "portal.test", "/ca.crt")
        value = self.says[address]
        if value is None:
            raise TimeoutError("no route")
        return value

    def call(self, command: Sequence[str]) -> int:
        self.called.append(command)
        return 0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.says |= self.after_sleep

    def boots(self) -> int:
        return int(slot_live.main(str(self.folder / "live.json"), (), self.call, self.sleep))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def started(*units: str) -> list[list[str]]:
    return [["systemctl", "start", "--no-block", *units]]


def test_a_host_that_was_down_during_a_cutover_starts_the_services_of_the_new_live_slot(host: Host) -> None:
    assert host.boots() == 0
    assert host.called == started("mailer-green.service", "worker-green.service")


def test_the_highest_epoch_counts(host: Host) -> None:
    host.says["192.0.2.1"] = "8:blue:-:0"
    assert host.boots() == 0
    assert host.called == started("mailer-green.service", "worker-green.service")


def test_one_edge_host_that_answers_is_enough(host: Host) -> None:
    host.says = {"192.0.2.1": None, "192.0.2.2": "9:blue:green:5"}
    assert host.boots() == 0
    assert host.called == started("worker-blue.service"), "during a canary, the live slot's services run"


def test_without_an_answer_nothing_starts_until_an_edge_host_answers(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.says = dict.fromkeys(EDGES)
    host.after_sleep = {"192.0.2.2": "10:blue:-:0"}
    assert host.boots() == 0
    assert host.slept == [slot_live.AGAIN]
    assert host.called == started("worker-blue.service")
    assert "no edge host answers" in capsys.readouterr().out


@pytest.mark.parametrize("says", [{"192.0.2.1": "", "192.0.2.2": ""}, {"192.0.2.1": "", "192.0.2.2": None}])
def test_before_the_first_cutover_nothing_starts(host: Host, says: dict[str, str | None]) -> None:
    host.says = says
    assert host.boots() == 0
    assert (host.called, host.slept) == ([], [])


def test_a_host_without_the_slot_starts_nothing(host: Host) -> None:
    (host.folder / "green.live").unlink()
    assert host.boots() == 0
    assert host.called == []


def test_a_damaged_configuration_is_named(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    (host.folder / "live.json").write_text('{"site": "staging"}')
    assert host.boots() == 1
    assert "live.json: KeyError('edges')" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("says", "slot", "confirmed"),
    [
        ({}, "green", True),
        ({}, "blue", False),
        # One edge host has not followed yet.
        ({"192.0.2.1": "10:blue:-:0"}, "blue", True),
        # Without an answer, the run knows best.
        ({"192.0.2.1": None, "192.0.2.2": None}, "blue", True),
        ({"192.0.2.1": "", "192.0.2.2": ""}, "blue", True),
    ],
)
def test_a_run_that_has_slept_is_refused_if_another_slot_is_live_now(
    host: Host, capsys: pytest.CaptureFixture[str], says: dict[str, str | None], slot: str, confirmed: bool
) -> None:
    host.says |= says
    code = slot_live.main(str(host.folder / "live.json"), ("live", slot), host.call, host.sleep)
    assert (code, host.called, host.slept) == (int(not confirmed), [], [])
    assert ("refused: green is live, not blue: traffic was moved since" in capsys.readouterr().err) is not confirmed


@pytest.mark.parametrize(
    ("says", "slot", "idle"),
    [
        ({}, "blue", True),
        ({}, "green", False),
        ({"192.0.2.1": "10:blue:green:5"}, "green", False),
        ({"192.0.2.1": "10:blue:green:5"}, "blue", False),
        ({"192.0.2.1": "10:blue:-:0"}, "green", True),
        ({"192.0.2.1": None, "192.0.2.2": None}, "green", True),
        ({"192.0.2.1": "", "192.0.2.2": ""}, "green", True),
    ],
)
def test_a_deploy_that_has_slept_does_not_touch_a_slot_with_traffic(
    host: Host, capsys: pytest.CaptureFixture[str], says: dict[str, str | None], slot: str, idle: bool
) -> None:
    host.says |= says
    code = slot_live.main(str(host.folder / "live.json"), ("idle", slot), host.call, host.sleep)
    assert (code, host.called) == (int(not idle), [])
    assert (f"refused: {slot} gets public traffic" in capsys.readouterr().err) is not idle
