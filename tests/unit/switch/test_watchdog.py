# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-edge: what an edge host does by itself, with peers that answer over TLS."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.switch import apply, steps, watchdog
from ansible.module_utils.greenroom.switch import peers as switch_peers
from ansible.module_utils.greenroom.switch.bluegreen import Operation, State
from ansible.module_utils.greenroom.switch.clock import Clock
from ansible.module_utils.greenroom.switch.peers import Peers
from ansible.module_utils.greenroom.switch.report import connections
from edge_host import NAME, PLACES, Edge, Peer, make_certificate
from fake_haproxy import FakeWorker

MODULE_UTILS = Path(__file__).resolve().parents[3] / "plugins/module_utils"


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    found = Peer(tmp_path)
    yield found
    found.listener.close()


@pytest.fixture
def edge(tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Edge:
    # A busy machine may take longer than HAProxy's start may.
    monkeypatch.setattr(watchdog, "PEERS_SECONDS", 40)
    return Edge(tmp_path, peer)


CANARY = State("staging", 6, "blue", "green", 5, "2026", Operation("x", "canary", "5:blue:-:0", deadline=1))


def test_an_edge_host_takes_its_peers_state_before_it_serves_again(edge: Edge, peer: Peer) -> None:
    edge.write(State("staging", 5, "blue"))
    peer.body = "7:green:-:0"
    assert edge.run("catch-up") == 0
    assert edge.state().value == "7:green:-:0"
    assert edge.map_file.read_text() == "staging 7:green:-:0\n"


def test_a_new_edge_host_takes_its_peers_state(edge: Edge, peer: Peer) -> None:
    assert edge.run("catch-up") == 0
    assert not edge.state_file.exists()
    peer.body = "7:green:-:0"
    assert edge.run("catch-up") == 0
    assert edge.state().value == "7:green:-:0"


@pytest.mark.parametrize("body", ["4:green:-:0", "", "nonsense", "9:red:-:0"])
def test_a_peer_without_a_newer_state_changes_nothing(edge: Edge, peer: Peer, body: str) -> None:
    edge.write(State("staging", 5, "blue"))
    peer.body = body
    assert edge.run("catch-up") == 0
    assert edge.map_file.read_text() == "staging 5:blue:-:0\n"


def test_haproxy_starts_although_peers_do_not_respond(edge: Edge, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    edge.write(State("staging", 5, "blue"))
    monkeypatch.setattr(watchdog, "PEERS_SECONDS", 0.3)
    over = threading.Event()
    peer.answer = lambda: str(over.wait(60)).encode()
    started = time.monotonic()
    assert edge.run("catch-up") == 0
    assert time.monotonic() - started < 50
    over.set()
    assert edge.map_file.read_text() == "staging 5:blue:-:0\n"
    edge.configure(port=1, peers=["127.0.0.1", "127.0.0.2"])
    assert edge.run("catch-up") == 0


def test_only_a_peer_with_the_right_certificate_is_trusted(edge: Edge, peer: Peer, tmp_path: Path) -> None:
    edge.write(State("staging", 5, "blue"))
    peer.body = "7:green:-:0"
    other = tmp_path / "other.crt"
    other.write_bytes(make_certificate(NAME)[0])
    for changes in ({"public_name": "elsewhere.test"}, {"ca_file": str(other)}, {"ca_file": "/nowhere"}):
        edge.configure(**changes)
        assert edge.run("catch-up") == 0
        assert edge.state().epoch == 5


@pytest.mark.parametrize("answer", [b"HTTP/1.0 503 No\r\n\r\n9:green:-:0", b"9:green:-:0", b"", b"x" * 9000])
def test_an_invalid_response_of_a_peer_is_a_problem(peer: Peer, answer: bytes) -> None:
    peer.answer = lambda: answer
    peers = Peers(["127.0.0.1"], peer.port, NAME, str(peer.ca_file))
    found, problems = switch_peers.states(peers, "staging", 5)
    assert found == {}
    assert list(problems) == ["127.0.0.1"]


def test_the_watchdog_aborts_a_canary_past_its_deadline(
    edge: Edge, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(CANARY)
    with edge.proxy.running() as proxy:
        proxy.workers["99"] = FakeWorker(old=True)
        assert edge.run("watch") == 0
        assert proxy.values("staging") == {"100": "7:blue:-:0", "99": "7:blue:-:0"}
        assert "staging: 7:blue:-:0, no operation; changed: state, map, worker 100" in capsys.readouterr().out
        assert edge.run("watch") == 0
        assert capsys.readouterr().out == ""
    assert edge.state().phase == "idle"


@contextlib.contextmanager
def guarding(edge: Edge, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[[], bytes]]]:
    """The watchdog's service, and what it tells systemd, message by message."""
    program = f"import sys; from greenroom.switch.watchdog import main; sys.exit(main(['guard'], {str(edge.file)!r}))"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(120)
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "PYTHONPATH": str(MODULE_UTILS)}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", program], env=environment, **pipes) as process:
            try:
                yield process, lambda: systemd.recv(100)
            finally:
                process.terminate()


def test_the_watchdog_service_continues_after_a_failed_check(edge: Edge, tmp_path: Path) -> None:
    edge.write(CANARY)
    with edge.proxy.running() as proxy:
        proxy.workers["100"].refuses = True
        with guarding(edge, tmp_path) as (process, told):
            assert [told() for _ in range(4)] == [b"READY=1", *[b"WATCHDOG=1"] * 3]
            assert edge.state().phase == "idle"
            proxy.workers["100"].refuses = False
            while proxy.values("staging") != {"100": "7:blue:-:0"}:
                assert told() == b"WATCHDOG=1"
            assert process.stdout is not None
            assert process.stdout.readline() == "staging: 7:blue:-:0, no operation; changed: worker 100\n"
            process.terminate()
            said, problems = process.communicate(timeout=120)
    assert (said, process.returncode) == ("", -signal.SIGTERM)
    # Once, though it was there three times at least.
    (problem,) = problems.splitlines()
    assert "worker 100" in problem


def test_haproxy_does_not_start_with_a_canary_past_its_deadline(edge: Edge) -> None:
    edge.write(CANARY)
    assert edge.run("catch-up") == 0
    assert edge.map_file.read_text() == "staging 7:blue:-:0\n"
    edge.write(CANARY)
    with edge.proxy.running() as proxy:
        assert edge.run("settle") == 0
        assert proxy.values("staging") == {"100": "7:blue:-:0"}


def test_the_watchdog_does_nothing_during_a_switch(edge: Edge) -> None:
    edge.write(CANARY)
    host = watchdog.Host.from_file(str(edge.file))
    with apply.locked(host.places):
        assert edge.run("watch") == 0
    assert edge.state() == CANARY


def test_the_watchdog_repairs_a_worker_and_the_map(edge: Edge) -> None:
    edge.write(State("staging", 5, "blue"))
    edge.map_file.write_text("staging 9:green:-:0\n")
    with edge.proxy.running() as proxy:
        proxy.workers["100"].entries = {"staging": "4:green:-:0"}
        assert edge.run("check") == 1
        assert edge.run("watch") == 0
        assert edge.run("check") == 0
        assert proxy.values("staging") == {"100": "5:blue:-:0"}
    assert edge.map_file.read_text() == "staging 5:blue:-:0\n"


def test_a_lost_state_comes_back_from_the_peers_unless_they_know_less(edge: Edge, peer: Peer) -> None:
    with edge.proxy.running() as proxy:
        proxy.workers["100"].entries = {"staging": "8:green:-:0"}
        peer.body = "7:blue:-:0"
        assert edge.run("watch") == 0
        assert not edge.state_file.exists()
        peer.body = "8:green:-:0"
        assert edge.run("watch") == 0
    assert edge.state().value == "8:green:-:0"


def test_a_reload_sets_the_state_on_disk_in_every_worker(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.write(State("staging", 5, "blue"))
    with edge.proxy.running() as proxy:
        assert edge.run("reload") == 0
        assert proxy.values("staging") == {"101": "5:blue:-:0", "100": "5:blue:-:0"}
        assert "Success=1" in capsys.readouterr().out


def test_a_failed_reload_is_reported(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    assert edge.run("reload") == 1
    assert "no process listens" in capsys.readouterr().err


def test_settle_puts_a_state_in_effect_that_changed_during_the_start(edge: Edge) -> None:
    assert edge.run("settle") == 0
    edge.write(State("staging", 5, "blue"))
    with edge.proxy.running() as proxy:
        assert edge.run("settle") == 0
        assert proxy.values("staging") == {"100": "5:blue:-:0"}


def test_status_counts_each_slots_connections_over_all_workers(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.write(CANARY)
    with edge.proxy.running() as proxy:
        proxy.workers["100"].sessions = {"portal_http_blue": 3, "kratos_public_blue": 1, "portal_http_green": 2, "x": 9}
        proxy.workers["99"] = FakeWorker(old=True, sessions={"portal_http_blue": 10})
        assert edge.run("status") == 0
        found = json.loads(capsys.readouterr().out)
        proxy.workers["99"].hangs = True
        places = apply.Places("staging", *(edge.given[key] for key in PLACES), 0.3)
        assert connections(places) == {"blue": {"current": None}, "green": {"current": None}}
    assert found["connections"] == {"blue": {"current": 14}, "green": {"current": 2}}
    assert (found["phase"], found["operation"], found["overdue"], found["before_live"]) == ("canary", "x", True, "blue")
    assert found["deadline"] == "1970-01-01T00:00:01Z"


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda edge: None, "no slot is live yet"),
        (lambda edge: edge.write(State("staging", 5, "blue")), "HAProxy isn't running"),
        (lambda edge: edge.state_file.write_text("{"), "the state was lost: "),
        (lambda edge: edge.file.write_text("{}"), "edge.json: KeyError"),
    ],
)
def test_check_prints_the_reason(
    edge: Edge, prepare: Callable[[Edge], None], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(edge)
    assert edge.run("check") == 1
    assert reason in capsys.readouterr().err


def test_check_names_the_differences(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.write(State("staging", 5, "blue"))
    with edge.proxy.running():
        assert edge.run("check") == 1
    assert capsys.readouterr().err == "differs from the state file: map, worker 100\n"


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["present"], ["watch", "x"], ["watch", "--force"]):
        assert watchdog.main(words) == 2
    assert "usage: greenroom-edge status|check|settle|catch-up|watch|guard|reload" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["help", "--help", "-h"])
def test_help_has_a_line_for_each_command(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert watchdog.main([word]) == 0
    _usage, *lines = capsys.readouterr().out.splitlines()
    assert [line[2:15].strip() for line in lines] == [*watchdog.COMMANDS, "module"]
    assert all(line[15:].strip().endswith(".") for line in lines)


def test_an_operator_between_two_ticks_finds_the_operation_as_it_is(edge: Edge) -> None:
    edge.write(CANARY)
    wish = steps.Wish("present", "green", operation="x", deadline=60)
    edge.write(steps.decide(edge.state(), wish, Clock.now()))
    assert edge.run("watch") == 0
    assert (edge.state().value, edge.state().phase) == ("7:green:-:0:blue", "live")
