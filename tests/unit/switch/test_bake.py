# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A bake whose run is gone: the watchdog of an edge host judges the new live slot by its own log."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary.edge_log import EdgeLog
from ansible.module_utils.greenroom.switch import apply, bake, deadline, watchdog
from ansible.module_utils.greenroom.switch.bluegreen import Operation, State
from ansible.module_utils.greenroom.switch.clock import utc
from ansible.module_utils.greenroom.switch.host import Host
from canary_rows import LIMITS
from edge_host import Edge, Peer
from edge_log import entry
from fake_haproxy import FakeHaproxy
from fake_journal import FakeJournal

SINCE = 400
"""How many seconds ago all traffic moved to green."""
BAKE: dict[str, Any] = {
    "limits": dataclasses.asdict(LIMITS),
    "own": {},
    "routes": ["/orders"],
    "backends": {},
    "seconds": 600.0,
    "not_before": "",
}
BACKENDS = {f"{name}_{slot}": 0 for name in ("shop_http", "kratos_public") for slot in ("blue", "green")}


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeJournal:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    # Each of them is a call of journalctl.
    monkeypatch.setattr(bake, "PARTS", 5)
    journal = FakeJournal(tmp_path)
    journal.write("the first line", ago=3600)
    return journal


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    monkeypatch.setattr(watchdog, "PEERS_SECONDS", 40)
    peer = Peer(tmp_path)
    yield Edge(tmp_path, peer)
    peer.listener.close()


@pytest.fixture
def proxy(edge: Edge) -> Iterator[FakeHaproxy]:
    with edge.proxy.running() as running:
        running.workers["100"].sessions = dict(BACKENDS)
        yield running


def baking(seconds_left: int = -1, **changes: Any) -> State:
    """Green has served for SINCE seconds; its run had to give a sign of life by now."""
    began, deadline = time.time() - SINCE, int(time.time()) + seconds_left
    operation = Operation("run-1", "live", "6:blue:-:0:-", deadline=deadline, seconds=600, bake={**BAKE, **changes})
    return State("staging", 7, "green", changed_at=utc(began), previous="blue", operation=operation)


def served(journal: FakeJournal, slot: str, ago: range, failing: int = 0, **changes: Any) -> None:
    """Log two requests of each of 60 clients, of which some get errors, spread over a time."""
    for number in range(60):
        status = 500 if number < failing else 200
        for turn in range(2):
            line = entry(slot=slot, chosen="live", group=f"c{number}", status=status, **changes)
            journal.write(line, ago=ago[(number + 60 * turn) * len(ago) // 120])


BEFORE, AFTER = range(SINCE + 390, SINCE + 1, -1), range(SINCE - 1, 1, -1)


def watched(edge: Edge, capsys: pytest.CaptureFixture[str]) -> tuple[State, str]:
    """Run the watchdog once; return the state after it, and what it says in the journal."""
    assert edge.run("watch") == 0
    return edge.state(), capsys.readouterr().out


def test_a_candidate_that_fails_is_left(
    edge: Edge, journal: FakeJournal, proxy: FakeHaproxy, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(baking())
    served(journal, "blue", BEFORE)
    served(journal, "green", AFTER, failing=30)
    state, said = watched(edge, capsys)
    assert (state.value, state.phase) == ("17:blue:-:0:-", "idle"), said
    assert proxy.values("staging") == {"100": "17:blue:-:0:-"}
    assert (
        "staging: no run ended the bake of green; verdict: fail: green at 100 % (baseline blue): public 120 (120)"
        in said
    )
    assert "failed 60 (0)" in said
    assert "; blue is live again" in said
    assert state.changed_by.startswith("greenroom-edge on ")
    assert state.changed_by.endswith(": no run ended the bake, and green failed it")
    assert edge.run("status") == 0
    assert json.loads(capsys.readouterr().out)["changed_by"] == state.changed_by


def test_a_candidate_that_is_as_good_as_the_previous_slot_stays(
    edge: Edge, journal: FakeJournal, proxy: FakeHaproxy, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(before := baking())
    served(journal, "blue", BEFORE, failing=2)
    served(journal, "green", AFTER, failing=2)
    state, said = watched(edge, capsys)
    assert state == replace(before, operation=None)
    assert "no run ended the bake of green; verdict: pass: green at 100 %" in said
    assert said.splitlines()[0].endswith("; green stays live")
    # Once.
    assert watched(edge, capsys) == (state, "")


@pytest.mark.parametrize(
    ("logged", "changes"),
    [
        # No requests at all, none to compare with, or too old ones.
        ({}, {}),
        ({"green": AFTER}, {}),
        ({"blue": BEFORE, "green": AFTER}, {"not_before": utc(time.time() + 3600)}),
        ({"blue": BEFORE, "green": AFTER}, {"seconds": 0.0}),
    ],
)
@pytest.mark.usefixtures("proxy")
def test_without_enough_requests_the_candidate_stays(
    edge: Edge,
    journal: FakeJournal,
    capsys: pytest.CaptureFixture[str],
    logged: dict[str, range],
    changes: dict[str, Any],
) -> None:
    edge.write(baking(**changes))
    for slot, ago in logged.items():
        served(journal, slot, ago, failing=30 if slot == "green" else 0)
    state, said = watched(edge, capsys)
    assert (state.value, state.phase) == ("7:green:-:0:blue", "idle"), said
    assert "verdict: no data: green at 100 %" in said


def test_a_candidate_without_a_healthy_server_fails_without_any_request(
    edge: Edge, journal: FakeJournal, proxy: FakeHaproxy, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(baking())
    proxy.workers["100"].ill = {"shop_http_green"}
    state, said = watched(edge, capsys)
    assert state.value == "17:blue:-:0:-"
    assert (
        "verdict: fail: green at 100 % (baseline blue): no requests: no server of shop_http_green is healthy;" in said
    )


def test_nothing_goes_back_to_a_slot_without_a_healthy_server(
    edge: Edge, journal: FakeJournal, proxy: FakeHaproxy, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(baking())
    proxy.workers["100"].ill = {"shop_http_green", "shop_http_blue"}
    state, said = watched(edge, capsys)
    assert (state.value, state.phase) == ("7:green:-:0:blue", "idle")
    assert "; green stays live, because: no server of shop_http_blue is healthy" in said


def test_a_service_with_limits_of_its_own_is_judged_by_them(
    edge: Edge, journal: FakeJournal, proxy: FakeHaproxy, capsys: pytest.CaptureFixture[str]
) -> None:
    # All services together may fail more often than one of them.
    limits = {**BAKE["limits"], "error_margin": 0.9}
    edge.write(baking(limits=limits, own={"shop": {"error_margin": 0.01}}, backends={"shop_http": "shop"}))
    served(journal, "blue", BEFORE, backend="shop_http_blue")
    served(journal, "green", AFTER, failing=30, backend="shop_http_green")
    state, said = watched(edge, capsys)
    assert state.live == "blue", said
    assert re.search(r": shop: \d+ of \d+ failed \(public", said), said


@pytest.mark.parametrize(
    "changes", [{"limits": {}}, {"limits": {**BAKE["limits"], "alpha": 7}}, {"not_before": "soon"}]
)
def test_a_verdict_that_breaks_keeps_the_candidate_and_says_why(
    edge: Edge,
    journal: FakeJournal,
    proxy: FakeHaproxy,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
) -> None:
    edge.write(baking(**changes))
    state, said = watched(edge, capsys)
    assert (state.value, state.phase) == ("7:green:-:0:blue", "idle")
    assert "verdict: none (" in said
    assert "; green stays live" in said


def test_a_journal_that_can_not_be_read_keeps_the_candidate(
    edge: Edge, journal: FakeJournal, proxy: FakeHaproxy, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(baking())
    journal.code = 1
    state, said = watched(edge, capsys)
    assert (state.live, state.phase) == ("green", "idle")
    assert "can't read the journal" in said


def test_nothing_is_judged_while_the_run_has_time(
    edge: Edge, journal: FakeJournal, proxy: FakeHaproxy, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.write(baking(seconds_left=60))
    state, _said = watched(edge, capsys)
    assert state.phase == "live"
    assert journal.asked == []


def test_a_run_that_returns_during_the_verdict_goes_on(edge: Edge, proxy: FakeHaproxy) -> None:
    judged = deadline.Judged(baking(), "fail", "the watchdog")
    edge.write(baking(seconds_left=60))
    places = Host.from_file(str(edge.file)).places
    with apply.locked(places):
        watchdog.tick(places, None, watchdog.Clock.now(), judged)
    assert (edge.state().live, edge.state().phase) == ("green", "live")


@pytest.mark.parametrize("command", ["catch-up", "settle"])
def test_the_start_of_haproxy_does_not_wait_for_the_verdict(
    edge: Edge, journal: FakeJournal, proxy: FakeHaproxy, command: str
) -> None:
    edge.write(baking())
    assert edge.run(command) == 0
    assert (edge.state().value, edge.state().phase) == ("7:green:-:0:blue", "live")
    assert journal.asked == []


def test_a_large_log_gives_signs_of_life(
    edge: Edge, journal: FakeJournal, proxy: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd kills a watchdog that is silent for a minute."""
    monkeypatch.setattr(bake, "BETWEEN", 10)
    served(journal, "blue", BEFORE)
    served(journal, "green", AFTER)
    signs: list[int] = []
    taken: list[str] = []
    take = EdgeLog.take

    def noted(log: EdgeLog, line: str) -> str:
        taken.append(line)
        return str(take(log, line))

    monkeypatch.setattr(EdgeLog, "take", noted)
    judged = bake.judge(baking(), Host.from_file(str(edge.file)).places, 2, lambda: signs.append(len(taken)))
    assert "verdict: pass" in judged.line, judged.line
    assert max(after - before for before, after in itertools.pairwise(signs)) <= bake.BETWEEN


def test_more_lines_than_the_limit_are_left_out(
    edge: Edge, journal: FakeJournal, proxy: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bake, "LINES", 100)
    served(journal, "blue", BEFORE)
    served(journal, "green", AFTER)
    judged = bake.judge(baking(), Host.from_file(str(edge.file)).places, 2, lambda: None)
    assert "no data: green at 100 %" in judged.line
    assert "logged more lines than were read" in judged.line
