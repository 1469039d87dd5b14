# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The switch between two slots: disk first, then every worker; killed anywhere, the next call mends."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.common import durable
from ansible.module_utils.greenroom.switch import apply, bluegreen, haproxy, steps, watchdog
from ansible.module_utils.greenroom.switch.apply import Places
from ansible.module_utils.greenroom.switch.bluegreen import Operation, State, SwitchError
from ansible.module_utils.greenroom.switch.clock import Clock
from ansible.module_utils.greenroom.switch.report import report
from ansible.module_utils.greenroom.switch.steps import Wish
from fake_haproxy import FakeHaproxy, FakeWorker
from hypothesis import given
from hypothesis import strategies as st


class Edge:
    """An edge host in a folder."""

    def __init__(self, folder: Path) -> None:
        self.state_file = folder / "lib" / "state.json"
        self.map_file = folder / "maps" / "live.map"
        self.map_file.parent.mkdir()
        self.proxy = FakeHaproxy(folder, str(self.map_file))
        sockets = (self.proxy.runtime_socket, self.proxy.master_socket)
        self.places = Places("staging", str(self.state_file), str(self.map_file), *sockets, 0.5)

    def switch(self, live: str | None, epoch: int | None = None, recover: bool = False) -> list[str]:
        return self.do(Wish("present", live, expected_epoch=epoch, recover=recover))

    def do(self, wish: Wish) -> list[str]:
        with apply.locked(self.places):
            seen = apply.look(self.places)
            if seen.state is None:
                wanted = steps.first("staging", wish, seen.traces, seen.damage, Clock.now())
            else:
                wanted = steps.decide(seen.state, wish, Clock.now())
            return list(apply.apply(self.places, seen, wanted))

    def status(self) -> dict[str, Any]:
        return dict(report(self.places, apply.look(self.places)))

    def map_says(self) -> str:
        return self.map_file.read_text()


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


@pytest.fixture
def running(edge: Edge) -> Iterator[FakeHaproxy]:
    with edge.proxy.running() as proxy:
        yield proxy


# --- the state ---


def test_the_value_of_a_map() -> None:
    assert State("staging", 3, "green").value == "3:green:-:0"
    assert State("staging", 3, "green", "blue", 5).value == "3:green:blue:5"
    assert State("staging", 3, "green", previous="").value == "3:green:-:0:-"
    assert State("staging", 3, "green", previous="blue").value == "3:green:-:0:blue"
    canary = State("staging", 3, "green", "blue", 5)
    assert canary.adopted().value == "3:green:blue:5::adopted"
    assert replace(canary, previous="").adopted().value == "3:green:blue:5:-:adopted"


@given(
    st.integers(1, 10**9),
    st.sampled_from(bluegreen.SLOTS),
    st.integers(0, 100),
    st.tuples(st.booleans(), st.booleans()),
    st.sampled_from([None, "", "other"]),
)
def test_a_state_survives_map_and_file(
    epoch: int, live: str, weight: int, flags: tuple[bool, bool], previous: str | None
) -> None:
    other, (canary, adopted) = bluegreen.other(live), flags
    state = State("a.b-c", epoch, live, other if canary else "", weight if canary else 0, "2026")
    state = replace(state, previous=other if previous else previous)
    if adopted and state.weight:
        state = state.adopted()
    assert State.from_json(state.as_json()) == state
    assert State.from_value("a.b-c", state.value) == replace(state, changed_at="")


@pytest.mark.parametrize(
    "keys",
    [
        {"site": ""},
        {"site": "two words"},
        {"site": "a\nb"},
        {"epoch": 0},
        {"epoch": "1"},
        {"epoch": True},
        {"live": "red"},
        {"live": ""},
        {"candidate": "blue"},
        {"candidate": "red"},
        {"weight": 5},
        {"candidate": "green", "weight": 101},
        {"candidate": "green", "weight": -1},
        {"candidate": "green", "weight": 0.5},
        {"previous": "blue"},
        {"previous": "red"},
    ],
)
def test_a_state_that_haproxy_can_not_serve_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is |without"):
        State(**{"site": "staging", "epoch": 1, "live": "blue", **keys})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "blue",
        "1:blue:-",
        "x:blue:-:0",
        "1:blue:-:x",
        "1:red:-:0",
        "1:blue:blue:5",
        "0:blue:-:0",
        "1:blue:-:0:blue",
        "1:blue:-:0:red",
        "1:blue:green:5:-:x",
        "1:blue:-:0:-:adopted",
        "1:blue:green:5:-:adopted:x",
    ],
)
def test_an_invalid_map_value_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        State.from_value("staging", value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"site": "staging"}', '{"site": "a", "epoch": 1, "live": "red"}', "null", "{"]
)
def test_a_damaged_state_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        State.from_json(text)


def test_unknown_keys_are_ignored() -> None:
    assert State.from_json('{"site": "a", "epoch": 1, "live": "blue", "later": {}}') == State("a", 1, "blue")
    operation = {"id": "x", "phase": "live", "before": "1:blue:-:0", "later": 1}
    text = json.dumps({"site": "a", "epoch": 2, "live": "green", "operation": operation})
    assert State.from_json(text).operation == Operation("x", "live", "1:blue:-:0")


@pytest.mark.parametrize(
    "keys", [{"site": "a b"}, {"map_file": "live.map"}, {"map_file": "/etc/a;b"}, {"map_file": "/a b"}]
)
def test_names_that_would_break_a_command_are_refused(keys: dict[str, str]) -> None:
    names = {"site": "staging", "state_file": "/s", "map_file": "/m", "runtime_socket": "/r", "master_socket": "/m"}
    with pytest.raises(SwitchError, match=r"not a valid site name|absolute path"):
        Places(**{**names, **keys})


# --- a first install and plain switches ---


def test_a_new_edge_host_has_no_live_slot(edge: Edge) -> None:
    assert edge.status() == {
        "site": "staging",
        "live": None,
        "idle": None,
        "epoch": 0,
        "highest_epoch": 0,
        "candidate": None,
        "weight": 0,
        "previous": None,
        "value": "",
        "changed_at": None,
        "changed_by": None,
        "phase": "idle",
        "operation": None,
        "before": "",
        "before_live": None,
        "next": "",
        "deadline": None,
        "overdue": False,
        "bakes": False,
        "state_lost": False,
        "map_present": False,
        "disk": {"state": None, "damage": "", "map": None},
        "workers": [],
        "running": False,
        "in_force": False,
        "peers": {},
        "unconfirmed": False,
    }


def test_an_empty_map_means_a_new_edge_host(edge: Edge) -> None:
    edge.map_file.write_text("")
    status = edge.status()
    assert (status["state_lost"], status["map_present"], status["live"]) == (False, True, None)


def test_without_haproxy_the_change_is_on_disk(edge: Edge) -> None:
    assert edge.switch("blue") == ["state", "map"]
    assert edge.map_says() == "staging 1:blue:-:0:-\n"
    status = edge.status()
    assert (status["live"], status["idle"], status["epoch"]) == ("blue", "green", 1)
    assert (status["running"], status["in_force"]) == (False, False)
    assert json.loads(edge.state_file.read_text())["changed_at"] == status["changed_at"]
    assert edge.state_file.stat().st_mode & 0o777 == 0o644


def test_a_switch_sets_and_verifies_the_worker(edge: Edge, running: FakeHaproxy) -> None:
    assert edge.switch("blue") == ["state", "map", "worker 100"]
    assert edge.switch("blue") == []
    assert edge.switch("green", epoch=1) == ["state", "map", "worker 100"]
    assert edge.switch("green") == []
    status = edge.status()
    assert (status["live"], status["epoch"], status["in_force"]) == ("green", 2, True)
    worker = {"name": "100", "old": False, "value": "2:green:-:0:blue", "problem": "", "agrees": True}
    assert status["workers"] == [worker]
    assert running.values("staging") == {"100": "2:green:-:0:blue"}


def test_the_disk_is_written_before_haproxy_is_changed(
    edge: Edge, running: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    write, put = durable.write, haproxy.put

    def noted_write(path: str, content: bytes, **more: Any) -> None:
        order.append(Path(path).name)
        write(path, content, **more)

    def noted_put(worker: haproxy.Worker, *more: Any, **named: Any) -> None:
        order.append(worker.name)
        put(worker, *more, **named)

    monkeypatch.setattr(durable, "write", noted_write)
    monkeypatch.setattr(haproxy, "put", noted_put)
    edge.switch("blue")
    assert order == ["state.json", "live.map", "100"]


def test_without_a_master_the_runtime_socket_sets_the_newest_worker(edge: Edge) -> None:
    with edge.proxy.running(master=False) as proxy:
        assert edge.switch("blue") == ["state", "map", "worker newest"]
        assert proxy.values("staging") == {"100": "1:blue:-:0:-"}
        assert edge.status()["in_force"]


def test_old_workers_are_set_too(edge: Edge, running: FakeHaproxy) -> None:
    edge.switch("blue")
    running.reload("101")
    running.reload("102")
    assert edge.switch("green") == ["state", "map", "worker 102", "worker 101", "worker 100"]
    assert set(running.values("staging").values()) == {"2:green:-:0:blue"}
    assert [worker["old"] for worker in edge.status()["workers"]] == [False, True, True]


def test_other_sites_keep_their_lines(edge: Edge) -> None:
    edge.map_file.write_text("# made by hand\nproduction 7:blue:-:0\nstaging\nstaging 1:red:-:0\n")
    edge.switch("blue", recover=True)
    assert edge.map_says() == "# made by hand\nproduction 7:blue:-:0\nstaging 2:blue:-:0:-\n"


def test_a_state_file_of_another_site_is_refused(edge: Edge) -> None:
    durable.write(str(edge.state_file), State("production", 1, "blue").as_json().encode())
    with pytest.raises(SwitchError, match="belongs to site 'production'"):
        edge.switch("green")


# --- epochs ---


def test_another_epoch_than_expected_is_refused(edge: Edge, running: FakeHaproxy) -> None:
    edge.switch("blue")
    edge.switch("green")
    edge.switch("blue")
    for epoch in (0, 1, 2, 4):
        with pytest.raises(SwitchError, match=f"refused: expected epoch {epoch}, but it is 3: blue is live since"):
            edge.switch("green", epoch=epoch)
    assert running.values("staging") == {"100": "3:blue:-:0:green"}


def test_a_repeated_call_is_not_refused(edge: Edge) -> None:
    edge.switch("blue")
    edge.switch("green", epoch=1)
    assert edge.switch("green", epoch=1) == []
    with pytest.raises(SwitchError, match="refused"):
        edge.switch("blue", epoch=1)


def test_a_new_edge_has_epoch_0(edge: Edge) -> None:
    with pytest.raises(SwitchError, match="this edge host has no state at all"):
        edge.switch("blue", epoch=1)
    assert edge.switch("blue", epoch=0) == ["state", "map"]


def test_a_canary_ends_with_an_immediate_switch(edge: Edge) -> None:
    durable.write(str(edge.state_file), State("staging", 4, "blue", "green", 5).as_json().encode())
    status = edge.status()
    assert (status["candidate"], status["weight"]) == ("green", 5)
    edge.switch("blue", epoch=4)
    assert edge.map_says() == "staging 5:blue:-:0\n"


def test_an_unknown_slot_is_refused(edge: Edge) -> None:
    with pytest.raises(SwitchError, match="'red' is not a slot: blue or green"):
        edge.switch("red")


def test_without_a_slot_the_state_on_disk_is_put_in_effect(edge: Edge, running: FakeHaproxy) -> None:
    with pytest.raises(SwitchError, match="set `live` to the live slot"):
        edge.switch(None)
    edge.switch("blue")
    running.workers["100"].entries = {"staging": "9:green:-:0"}
    edge.map_file.write_text("staging 8:green:-:0\n")
    assert edge.switch(None) == ["map", "worker 100"]
    assert edge.switch(None) == []
    assert running.values("staging") == {"100": "1:blue:-:0:-"}


# --- killed on the way ---

STEPS = ["state.json: temporary", "state.json", "live.map: temporary", "live.map", "worker"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing but the kernel cleans up."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("then", ["green", "blue", None])
def test_after_a_kill_at_any_step_the_next_call_repairs(
    edge: Edge, running: FakeHaproxy, monkeypatch: pytest.MonkeyPatch, step: str, then: str | None
) -> None:
    edge.switch("blue")
    replace_file = os.replace

    def killed_before(source: str, target: str) -> None:
        if f"{Path(target).name}: temporary" == step:
            raise Killed
        replace_file(source, target)
        if Path(target).name == step:
            raise Killed

    def killed_put(*_arguments: object, **_named: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed_before)
        if step == "worker":
            patch.setattr(haproxy, "put", killed_put)
        with pytest.raises(Killed):
            edge.switch("green", epoch=1)

    status = edge.status()
    moved = STEPS.index(step) > 0
    assert status["live"] == ("green" if moved else "blue")
    assert running.values("staging") == {"100": "1:blue:-:0:-"}
    assert status["in_force"] != moved

    edge.switch(then)
    status = edge.status()
    assert status["live"] == (then or ("green" if moved else "blue"))
    assert status["in_force"]
    assert edge.map_says() == f"staging {running.values('staging')['100']}\n"
    assert edge.switch(then) == []
    assert os.listdir(edge.map_file.parent) == ["live.map"]


def test_a_reload_between_disk_and_socket_is_repaired_by_the_same_call(
    edge: Edge, running: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.switch("blue")
    put = haproxy.put
    reloaded: list[bool] = []

    def put_and_reload(*arguments: Any, **named: Any) -> None:
        put(*arguments, **named)
        if not reloaded:
            reloaded.append(True)
            # A worker that read the map before it was written appears only now.
            running.reload("101")
            running.workers["101"].entries = {"staging": "1:blue:-:0:-"}

    monkeypatch.setattr(haproxy, "put", put_and_reload)
    assert edge.switch("green") == ["state", "map", "worker 100", "worker 101"]
    assert set(running.values("staging").values()) == {"2:green:-:0:blue"}


def test_workers_that_never_settle_are_an_error(
    edge: Edge, running: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = haproxy.put

    def put_and_reload(*arguments: Any, **named: Any) -> None:
        Path(running.map_file).write_text("")
        running.reload(str(len(running.workers) + 100))
        put(*arguments, **named)

    monkeypatch.setattr(haproxy, "put", put_and_reload)
    with pytest.raises(SwitchError, match="faster than they can be set"):
        edge.switch("blue")


def test_a_reload_after_a_switch_brings_nothing_stale(edge: Edge, running: FakeHaproxy) -> None:
    edge.switch("blue")
    edge.switch("green")
    running.reload("101", keep_old=False)
    assert edge.status()["in_force"]
    assert edge.switch("green") == []


# --- state lost ---


@pytest.mark.parametrize("damage", ["", "{"])
@pytest.mark.parametrize("where", ["map", "worker", "both"])
def test_a_lost_state_is_reported_and_not_guessed(edge: Edge, running: FakeHaproxy, where: str, damage: str) -> None:
    edge.switch("blue")
    edge.switch("green")
    edge.state_file.unlink()
    if damage:
        edge.state_file.write_text(damage)
    if where == "map":
        running.workers["100"].entries = {}
    if where == "worker":
        edge.map_file.unlink()
    status = edge.status()
    assert (status["state_lost"], status["live"], status["epoch"]) == (True, "green", 2)
    assert status["disk"]["state"] is None
    assert bool(status["disk"]["damage"]) == bool(damage)
    assert not status["in_force"]
    with pytest.raises(SwitchError, match=r"refused: the state of 'staging' was lost .*2:green:-:0.* recover: true"):
        edge.switch("green")
    with pytest.raises(SwitchError, match="set `live` to the live slot"):
        edge.switch(None, recover=True)
    edge.switch("blue", recover=True)
    status = edge.status()
    assert (status["state_lost"], status["live"], status["epoch"], status["in_force"]) == (False, "blue", 3, True)


def test_a_damaged_state_without_other_sources_is_lost_too(edge: Edge) -> None:
    edge.state_file.parent.mkdir()
    edge.state_file.write_text("garbage")
    status = edge.status()
    assert (status["state_lost"], status["live"]) == (True, None)
    with pytest.raises(SwitchError, match=r"is damaged.*nothing else"):
        edge.switch("blue")
    edge.switch("blue", epoch=0, recover=True)
    assert edge.status()["epoch"] == 1


def test_workers_take_precedence_over_the_map_file(edge: Edge, running: FakeHaproxy) -> None:
    edge.map_file.write_text("staging 5:green:-:0\n")
    running.workers["100"].entries = {"staging": "4:blue:-:0"}
    assert edge.status()["live"] == "blue"
    edge.switch("blue", recover=True)
    assert edge.status()["epoch"] == 6


def test_an_invalid_value_still_counts_as_a_source(edge: Edge) -> None:
    edge.map_file.write_text("staging hand-made\n")
    status = edge.status()
    assert (status["state_lost"], status["live"]) == (True, None)
    edge.switch("blue", recover=True)
    assert edge.map_says() == "staging 1:blue:-:0:-\n"


# --- workers with problems ---


def test_a_worker_without_the_map_is_ignored(edge: Edge, running: FakeHaproxy) -> None:
    running.workers["100"].entries = None
    assert edge.switch("blue") == ["state", "map"]
    status = edge.status()
    assert status["running"]
    assert not status["in_force"]
    assert "Unknown map identifier" in status["workers"][0]["problem"]


def test_a_worker_that_ends_meanwhile_is_ignored(edge: Edge, running: FakeHaproxy) -> None:
    running.workers["99"] = FakeWorker(old=True, gone=True)
    assert edge.switch("blue") == ["state", "map", "worker 100"]
    assert [worker["name"] for worker in edge.status()["workers"]] == ["100"]


@pytest.mark.parametrize(
    ("worker", "reason"),
    [(FakeWorker(hangs=True), "did not answer within 0.5 s"), (FakeWorker(refuses=True), "Permission denied")],
)
def test_a_worker_that_can_not_be_set_is_an_error_that_names_the_state(
    edge: Edge, running: FakeHaproxy, worker: FakeWorker, reason: str
) -> None:
    running.workers["99"] = replace(worker, old=True)
    message = f"on disk, blue is live, but HAProxy may not follow it yet: .*{reason}.*; repeat the call"
    with pytest.raises(SwitchError, match=message):
        edge.switch("blue")
    assert running.values("staging")["100"] == "1:blue:-:0:-"
    assert not edge.status()["in_force"]
    running.workers["99"].refuses = running.workers["99"].hangs = False
    assert edge.switch("blue") == ["worker 99"]


def test_a_worker_that_refuses_silently_is_an_error(running: FakeHaproxy, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = haproxy.Worker("100", running.master_socket, "@!100 ")
    monkeypatch.setattr(haproxy, "ask", lambda *arguments: "")
    with pytest.raises(haproxy.SocketError, match="worker 100 did not accept 1:blue:-:0:-: it gave no reason"):
        haproxy.put(worker, running.map_file, "staging", "1:blue:-:0:-", 1, found=None)


def test_a_master_that_hangs_does_not_mean_that_haproxy_is_not_running(edge: Edge, running: FakeHaproxy) -> None:
    running.master_hangs = True
    status = edge.status()
    assert status["running"]
    assert status["workers"][0]["name"] == "master"
    assert "did not answer" in status["workers"][0]["problem"]
    with pytest.raises(SwitchError, match="did not answer"):
        edge.switch("blue")


def test_a_restarting_master_is_waited_for(edge: Edge) -> None:
    master = Path(edge.proxy.master_socket)
    with edge.proxy.running(master=False) as proxy:
        # What is left of a socket at which nobody listens.
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(master))
        with pytest.raises(haproxy.SocketError, match=r"master was away for 0.2 s"):
            haproxy.workers(proxy.runtime_socket, str(master), 0.2)

        def come_back() -> None:
            time.sleep(0.3)
            # At once in the place of the old one, as HAProxy does it.
            listeners.append(proxy._listen(f"{master}.new", master=True))
            os.replace(f"{master}.new", master)

        listeners: list[socket.socket] = []
        thread = threading.Thread(target=come_back)
        thread.start()
        edge.places = replace(edge.places, seconds=20)
        assert edge.switch("blue") == ["state", "map", "worker 100"]
        thread.join()
        listeners[0].close()
    assert not master.exists()


def test_leftover_sockets_do_not_count_as_a_running_haproxy(edge: Edge) -> None:
    for path in (edge.proxy.master_socket, edge.proxy.runtime_socket):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(path)
    assert edge.switch("blue") == ["state", "map"]
    assert edge.status()["running"] is False


def test_a_path_that_is_not_a_socket_is_an_error(edge: Edge) -> None:
    with pytest.raises(haproxy.SocketError, match=r"Is a directory|Connection refused|rotocol|no process listens"):
        haproxy.ask(str(edge.map_file.parent), "show proc", 1)
    with pytest.raises(haproxy.SocketError, match=r".+"):
        haproxy.ask("/" + "x" * 200, "show proc", 1)


def test_an_unexpected_response_of_a_worker_is_an_error(running: FakeHaproxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "ask", lambda *arguments: "Permission denied")
    with pytest.raises(haproxy.SocketError, match="worker 1: Permission denied"):
        haproxy.read(haproxy.Worker("1", "/s"), "/m", "staging", 1)


# --- disk and lock ---


def full(patch: pytest.MonkeyPatch, *paths: Path) -> None:
    """Let each write to one of the paths find a full disk."""
    write = durable.write

    def fails(path: str, content: bytes, **more: Any) -> None:
        if Path(path) in paths:
            raise OSError(28, "No space left on device", path)
        write(path, content, **more)

    patch.setattr(durable, "write", fails)


def test_a_state_that_can_not_be_written_changes_nothing(
    edge: Edge, running: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.switch("blue")
    full(monkeypatch, edge.state_file)
    with pytest.raises(SwitchError, match=r"state.json: No space left on device; HAProxy was not changed"):
        edge.switch("green")
    assert running.values("staging") == {"100": "1:blue:-:0:-"}
    # HAProxy's next start must not read what the state file doesn't say.
    assert edge.map_says() == "staging 1:blue:-:0:-\n"


def test_workers_follow_the_state_file_though_the_map_can_not_be_written(
    edge: Edge, running: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.switch("blue")
    with monkeypatch.context() as patch:
        full(patch, edge.map_file)
        message = r"live.map: No space left on device; HAProxy follows 2:green:-:0:blue, but may not after a restart"
        with pytest.raises(SwitchError, match=message):
            edge.switch("green")
        assert running.values("staging") == {"100": "2:green:-:0:blue"}
        status = edge.status()
        assert (status["live"], status["in_force"]) == ("green", False)
    assert edge.switch("green") == ["map"]
    assert edge.status()["in_force"]


def test_the_end_of_a_canary_does_not_wait_for_the_disk(
    edge: Edge, running: FakeHaproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.switch("blue")
    edge.do(Wish("present", "blue", 5, operation="x", deadline=60))
    later = Clock.now() + 61
    with monkeypatch.context() as patch:
        full(patch, edge.state_file, edge.map_file)
        # Each check comes to the same result, and the disk doesn't bring the canary back.
        for _ in range(2):
            with pytest.raises(SwitchError, match=r"state.json: .*live.map: .*HAProxy follows 3:blue:-:0:-"):
                watchdog.tick(edge.places, None, later)
            assert running.values("staging") == {"100": "3:blue:-:0:-"}
        status = edge.status()
        assert (status["phase"], status["in_force"]) == ("canary", False)
        # A peer's end of it counts, too, and nothing else that the disk doesn't have.
        ended = State("staging", 20, "blue", previous="")
        with pytest.raises(SwitchError, match="HAProxy follows 20:blue:-:0:-"):
            watchdog.tick(edge.places, ended, later)
        with pytest.raises(SwitchError, match="HAProxy was not changed"):
            watchdog.tick(edge.places, replace(ended, epoch=21, candidate="green", weight=5), later)
        assert running.values("staging") == {"100": "20:blue:-:0:-"}
    assert watchdog.tick(edge.places, None, later) == ["state", "map", "worker 100"]
    assert (edge.status()["epoch"], edge.status()["in_force"]) == (3, True)


@pytest.mark.parametrize("name", ["state_file", "map_file"])
def test_a_file_that_cannot_be_read_is_an_error(edge: Edge, name: str) -> None:
    path: Path = getattr(edge, name)
    path.mkdir(parents=True)
    with pytest.raises(SwitchError, match="Is a directory"):
        edge.status()


def test_parallel_switches_run_one_after_the_other(edge: Edge, running: FakeHaproxy) -> None:
    failures: list[Exception] = []

    def work(slot: str) -> None:
        try:
            for _ in range(5):
                edge.switch(slot)
        except SwitchError as error:
            failures.append(error)

    edge.places = replace(edge.places, seconds=60)
    threads = [threading.Thread(target=work, args=(slot,)) for slot in (*bluegreen.SLOTS, *bluegreen.SLOTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    status = edge.status()
    assert status["in_force"]
    assert 1 <= status["epoch"] <= 20


def test_a_switch_that_takes_too_long_blocks_others(edge: Edge) -> None:
    started = time.monotonic()
    with apply.locked(edge.places), pytest.raises(SwitchError, match="another switch is in progress on this host"):
        edge.switch("blue")
    assert 0.4 < time.monotonic() - started < 60
    edge.switch("blue")


def test_a_lock_that_cannot_be_created_is_an_error(edge: Edge) -> None:
    places = replace(edge.places, state_file="/dev/null/state.json")
    with pytest.raises(SwitchError, match=r"state.json.lock: File exists"), apply.locked(places):
        pass


# --- durable files ---


def test_a_file_is_replaced_as_a_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    before = os.umask(0o077)
    try:
        durable.write(str(path), b"one")
        assert path.stat().st_mode & 0o777 == 0o644
        durable.write(str(path), b"two", 0o600)
    finally:
        os.umask(before)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o600)
    assert os.listdir(path.parent) == ["b"]
    assert durable.remove(str(path))
    assert not durable.remove(str(path))


def test_content_and_folder_are_synced_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, rename = os.fsync, os.replace

    def noted_sync(handle: int) -> None:
        order.append("sync")
        sync(handle)

    def noted_rename(source: str, target: str) -> None:
        order.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_rename)
    durable.write(str(tmp_path / "file"), b"")
    assert order == ["sync", "rename", "sync"]


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".file.new").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        durable.write(str(tmp_path / "file"), b"content")
    assert not (tmp_path / "victim").exists()
