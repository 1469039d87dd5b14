# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""An edge host with silent peers serves, and says so: in the journal, in its status, and in a metric."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.switch import heard, watchdog
from ansible.module_utils.greenroom.switch.bluegreen import State
from ansible.module_utils.greenroom.switch.heard import UNCONFIRMED, Heard
from edge_host import Edge, Peer, make_certificate
from modules import run_module

PEER = "127.0.0.1"
METRIC = f'greenroom_edge_peer_silent{{peer="{PEER}"}}'


def live(blue: int, epoch: int) -> dict[str, str]:
    """The metrics of the state on this host."""
    slots = {f'greenroom_edge_live{{slot="{slot}"}}': str(one) for slot, one in (("blue", blue), ("green", 1 - blue))}
    return {**slots, "greenroom_edge_epoch": str(epoch)}


SILENT = 1
"""A port at which nothing listens."""


class Noting(Edge):
    """An edge host that notes what its peers say."""

    def __init__(self, folder: Path, peer: Peer) -> None:
        super().__init__(folder, peer)
        self.peers_file, self.metrics_file = folder / "run/peers.json", folder / "metrics/edge.prom"
        self.given |= {"peers_file": str(self.peers_file), "metrics_file": str(self.metrics_file)}
        self.configure()

    def status(self, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
        capsys.readouterr()
        assert self.run("status") == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    def metrics(self) -> dict[str, str]:
        lines = self.metrics_file.read_text().splitlines()
        return dict(line.rsplit(maxsplit=1) for line in lines if not line.startswith("#"))


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    found = Peer(tmp_path)
    yield found
    found.listener.close()


@pytest.fixture
def edge(tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Noting:
    monkeypatch.setattr(watchdog, "PEERS_SECONDS", 40)
    found = Noting(tmp_path, peer)
    found.write(State("staging", 5, "blue", previous=""))
    return found


def test_a_stale_edge_host_with_silent_peers_serves_and_says_so(
    edge: Noting, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.configure(port=SILENT)
    with edge.proxy.running() as proxy:
        assert [edge.run(command) for command in ("catch-up", "settle", "watch", "watch")] == [0] * 4
        assert proxy.values("staging") == {"100": "5:blue:-:0:-"}
        # Once, and not with every check.
        lines = capsys.readouterr().err.splitlines()
        assert lines == [f"edge host {PEER}: [Errno 111] Connection refused", UNCONFIRMED]
        found = edge.status(capsys)
        assert (found["in_force"], found["unconfirmed"]) == (True, True)
        assert found["peers"] == {PEER: "[Errno 111] Connection refused"}
        assert edge.metrics() == {
            METRIC: "1",
            "greenroom_edge_unconfirmed": "1",
            **live(blue=1, epoch=5),
        }
        # It serves what its disk says, so the check passes.
        assert edge.run("check") == 0
        assert capsys.readouterr().err.splitlines() == lines

        # The peer is there again, at a higher epoch.
        edge.configure()
        peer.body = "7:green:-:0:blue"
        assert [edge.run("watch"), edge.run("watch")] == [0, 0]
        assert proxy.values("staging") == {"100": "7:green:-:0:blue"}
        said = capsys.readouterr().err.splitlines()
        assert said == [f"edge host {PEER}: answers again", "another edge host confirms the state"]
        found = edge.status(capsys)
        assert (found["peers"], found["unconfirmed"]) == ({PEER: None}, False)
        assert edge.metrics() == {
            METRIC: "0",
            "greenroom_edge_unconfirmed": "0",
            **live(blue=0, epoch=7),
        }


def test_a_peer_that_is_silent_later_is_a_problem_but_the_state_was_confirmed(
    edge: Noting, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.body = "5:blue:-:0:-"
    assert edge.run("catch-up") == 0
    edge.configure(port=SILENT)
    assert edge.run("watch") == 0
    found = edge.status(capsys)
    assert (found["unconfirmed"], found["peers"][PEER]) == (False, "[Errno 111] Connection refused")
    # HAProxy starts again.
    assert edge.run("catch-up") == 0
    assert edge.status(capsys)["unconfirmed"]


@pytest.mark.parametrize("body", ["4:green:-:0:-", "nonsense", ""])
def test_only_a_peer_with_the_same_state_confirms_it(
    edge: Noting, peer: Peer, body: str, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.body = body
    assert edge.run("catch-up") == 0
    found = edge.status(capsys)
    assert (found["unconfirmed"], bool(found["peers"][PEER])) == (True, body == "nonsense")


def test_an_ended_certificate_is_named(edge: Noting, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.crt"
    other.write_bytes(make_certificate("portal.test")[0])
    edge.configure(ca_file=str(other))
    assert edge.run("watch") == 0
    assert "certificate verify failed" in edge.status(capsys)["peers"][PEER]


def test_without_peers_or_without_a_state_there_is_nothing_to_confirm(
    edge: Noting, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.configure(peers=[])
    assert edge.run("catch-up") == 0
    found = edge.status(capsys)
    assert (found["peers"], found["unconfirmed"]) == ({}, False)
    edge.configure()
    edge.state_file.unlink()
    assert edge.run("catch-up") == 0
    assert not edge.status(capsys)["unconfirmed"]


def test_the_module_reports_it(edge: Noting) -> None:
    edge.configure(port=SILENT)
    assert edge.run("catch-up") == 0
    places: dict[str, Any] = {
        "state_file": str(edge.state_file),
        "map_file": str(edge.map_file),
        "peers_file": str(edge.peers_file),
    }
    sockets: dict[str, Any] = {"socket": edge.proxy.runtime_socket, "master_socket": edge.proxy.master_socket}
    found = run_module("bluegreen_switch", state="status", site="staging", **places, **sockets)
    assert (found["peers"], found["unconfirmed"]) == ({PEER: "[Errno 111] Connection refused"}, True)


def test_what_a_dead_watchdog_noted_does_not_count(
    edge: Noting, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.body = "5:blue:-:0:-"
    assert edge.run("catch-up") == 0
    long_ago = time.time() - heard.STALE_SECONDS - 5
    os.utime(edge.peers_file, (long_ago, long_ago))
    assert "greenroom-edge.service doesn't run" in edge.status(capsys)["peers"][PEER]
    # Its next check notes the time, though nothing else is new.
    assert edge.run("watch") == 0
    assert edge.status(capsys)["peers"] == {PEER: None}
    assert time.time() - edge.metrics_file.stat().st_mtime < heard.STALE_SECONDS


@pytest.mark.parametrize("content", ["", "[]", '{"other": 1}'])
def test_an_unusable_note_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "peers.json"
    path.write_text(content)
    assert Heard.from_file(str(path)) == Heard()
    assert Heard.from_file(str(tmp_path / "missing")) == Heard()


def test_a_note_that_can_not_be_written_stops_nothing(edge: Noting, peer: Peer) -> None:
    edge.configure(peers_file="/dev/null/peers.json", metrics_file="/dev/null/edge.prom")
    peer.body = "7:green:-:0:blue"
    assert edge.run("catch-up") == 0
    assert edge.state().epoch == 7


def test_another_problem_of_the_same_peer_is_no_news() -> None:
    before = Heard({PEER: "timed out"})
    after = Heard({PEER: "no response within 1.5 s"})
    assert list(after.news(before)) == []
