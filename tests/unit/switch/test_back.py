# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-edge back: an operator on an edge host moves traffic back without a controller."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.common import durable
from ansible.module_utils.greenroom.switch import back, watchdog
from ansible.module_utils.greenroom.switch.apply import Places
from ansible.module_utils.greenroom.switch.bluegreen import Operation, State, SwitchError
from ansible.module_utils.greenroom.switch.report import unhealthy
from edge_host import PLACES, Edge, Peer
from fake_haproxy import FakeHaproxy

GREEN = State("staging", 7, "green", changed_at="2026", previous="blue")
RUN = Operation("run-1", "live", "5:blue:-:0:-", deadline=2**40)
BAKE = replace(GREEN, operation=RUN)
CANARY = State("staging", 6, "blue", "green", 5, previous="", operation=replace(RUN, phase="canary"))
BACKENDS = {f"{name}_{slot}": 0 for name in ("portal_http", "kratos_public") for slot in ("blue", "green")}


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    found = Peer(tmp_path)
    yield found
    found.listener.close()


@pytest.fixture
def edge(tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Edge:
    # The timeouts of a machine that isn't busy.
    monkeypatch.setattr(back, "PEERS_SECONDS", 40)
    monkeypatch.setattr(watchdog, "PEERS_SECONDS", 40)
    peer.body = "7:green:-:0:blue"
    return Edge(tmp_path, peer)


@pytest.fixture
def proxy(edge: Edge) -> Iterator[FakeHaproxy]:
    with edge.proxy.running() as running:
        running.workers["100"].sessions = dict(BACKENDS)
        yield running


def test_back_moves_traffic_to_the_previous_slot(
    edge: Edge, peer: Peer, proxy: FakeHaproxy, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(GREEN)
    assert edge.run("back") == 0
    state = edge.state()
    assert (state.value, state.phase) == ("17:blue:-:0:-", "idle")
    assert state.changed_by.startswith("greenroom-edge back on ")
    assert proxy.values("staging") == {"100": "17:blue:-:0:-"}
    assert edge.map_file.read_text() == "staging 17:blue:-:0:-\n"
    said = capsys.readouterr().out
    assert "blue has all public traffic on this host, at epoch 17. green has none." in said
    assert "Edge host 127.0.0.1 follows within 0.05 s." in said
    assert "Background services still run for green." in said
    assert "Not rolled back: database migrations" in said
    assert "playbooks/cutover.yml" in said
    # The next run learns who it was.
    assert edge.run("status") == 0
    assert json.loads(capsys.readouterr().out)["changed_by"] == state.changed_by
    # The watchdog keeps it, and a second call doesn't return to green.
    assert edge.run("watch") == 0
    assert edge.run("back") == 1
    assert "there is nothing to go back to" in capsys.readouterr().err
    assert edge.state() == state


def test_the_other_edge_hosts_follow_and_do_not_go_back_again(
    edge: Edge, peer: Peer, proxy: FakeHaproxy, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(GREEN)
    peer.body = "17:blue:-:0:-"
    assert edge.run("back") == 1
    assert "blue is live" in capsys.readouterr().err
    assert edge.run("watch") == 0
    assert proxy.values("staging") == {"100": "17:blue:-:0:-"}


def test_a_second_call_completes_one_that_died(edge: Edge, peer: Peer, proxy: FakeHaproxy) -> None:
    edge.write(State("staging", 17, "blue", previous=""))
    proxy.workers["100"].entries = {"staging": "7:green:-:0:blue"}
    assert edge.run("back") == 1
    assert proxy.values("staging") == {"100": "17:blue:-:0:-"}


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("state", [BAKE, CANARY], ids=["bake", "canary"])
def test_back_ends_the_operation_of_a_run(
    edge: Edge, peer: Peer, state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(state)
    peer.body = state.value
    assert edge.run("back") == 0
    assert (edge.state().live, edge.state().weight, edge.state().operation) == ("blue", 0, None)
    said = capsys.readouterr().out
    assert f"Operation run-1 ({state.phase}) is over." in said
    # During a canary, background services have not moved.
    assert ("Background services" in said) == (state == BAKE)


def test_back_counts_what_its_peers_know(edge: Edge, peer: Peer, proxy: FakeHaproxy) -> None:
    """This host lags behind: it was blue here, then green, and blue again."""
    edge.write(replace(GREEN, epoch=3))
    peer.body = "20:green:-:0:blue"
    assert edge.run("back") == 0
    assert edge.state().value == "30:blue:-:0:-"


@pytest.mark.parametrize(
    ("ill", "message"),
    [
        ({"portal_http_blue"}, "no server of portal_http_blue (app1, app2) is healthy"),
        (
            {"portal_http_blue", "kratos_public_blue"},
            "no server of portal_http_blue (app1, app2), kratos_public_blue (app1, app2) is healthy",
        ),
    ],
)
def test_back_is_refused_if_the_previous_slot_is_down_unless_forced(
    edge: Edge, proxy: FakeHaproxy, ill: set[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(GREEN)
    proxy.workers["100"].ill = ill
    assert edge.run("back") == 1
    why = "There, sudo systemctl status '*-blue.service' says why"
    assert f"refused: {message}. {why}. To go back all the same: greenroom-edge back --force" in capsys.readouterr().err
    assert edge.state() == GREEN
    assert edge.run("back --force") == 0
    assert edge.state().live == "blue"


@pytest.mark.parametrize(("flaps", "code"), [((3, 1), 1), ((3, 60), 0), ((1, 1), 0)], ids=str)
def test_a_server_that_crashes_again_and_again_is_not_healthy(
    edge: Edge, proxy: FakeHaproxy, flaps: tuple[int, int], code: int
) -> None:
    edge.write(GREEN)
    proxy.workers["100"].flaps = flaps
    assert edge.run("back") == code


def test_servers_of_the_other_slot_may_be_down(edge: Edge, proxy: FakeHaproxy) -> None:
    edge.write(GREEN)
    proxy.workers["100"].ill = {"portal_http_green", "kratos_public_green"}
    assert edge.run("back") == 0


def test_back_is_refused_without_haproxy_or_without_servers(
    edge: Edge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(GREEN)
    assert edge.run("back") == 1
    assert "refused: HAProxy isn't running on this host" in capsys.readouterr().err
    with edge.proxy.running() as proxy:
        proxy.workers["100"].sessions = {"portal_http_green": 0}
        assert edge.run("back") == 1
        assert "refused: HAProxy has no servers of blue" in capsys.readouterr().err
        proxy.workers["100"].hangs = True
        places = Places("staging", *(edge.given[key] for key in PLACES), 0.3)
        with pytest.raises(SwitchError, match=r"can't tell which servers are healthy: .* did not answer"):
            unhealthy(places, "blue")
    assert edge.state() == GREEN


@pytest.mark.parametrize("content", [None, "{"])
def test_back_is_refused_without_a_state(
    edge: Edge, peer: Peer, proxy: FakeHaproxy, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.body = ""
    if content:
        edge.state_file.write_text(content)
    assert edge.run("back") == 1
    assert "refused: no slot is live here" in capsys.readouterr().err


def test_silent_peers_are_named_and_not_waited_for(
    edge: Edge, peer: Peer, proxy: FakeHaproxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(GREEN)
    monkeypatch.setattr(back, "PEERS_SECONDS", 0.2)
    over = threading.Event()
    peer.answer = lambda: str(over.wait(60)).encode()
    assert edge.run("back") == 0
    over.set()
    said = capsys.readouterr().out
    assert "Edge host 127.0.0.1 did not answer (" in said
    assert "It follows when it reaches this host" in said


def test_a_full_disk_is_reported_and_nothing_moves(
    edge: Edge, proxy: FakeHaproxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(GREEN)

    def full(path: str, *_more: object, **_named: object) -> None:
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(durable, "write", full)
    assert edge.run("back") == 1
    assert "state.json: No space left on device; HAProxy was not changed" in capsys.readouterr().err
