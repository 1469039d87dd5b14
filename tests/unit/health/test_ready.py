# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The wait for a slot's containers: it ends when all are ready, or when one of them won't be."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.health.check import HealthCheck
from ansible.module_utils.greenroom.health.ready import Container, Outcome, Wait
from modules import run_module
from systemctl_fake import Systemd
from webserver import Reply, hang, misbehave, serve

from bench.common import free_port

# Longer than any test takes: what ends earlier has not waited for it.
LONG = 3600
UP = {"active": "active", "sub": "running"}
DOWN = {"active": "activating", "sub": "auto-restart", "code": 1}


class Host:
    """A host whose units go on to their next state each time that systemd shows them."""

    def __init__(self) -> None:
        self.systemd = Systemd()
        self.states: dict[str, list[dict[str, Any]]] = {}
        self.commands: list[list[str]] = []

    def lives(self, name: str, *states: dict[str, Any]) -> None:
        """Say what happens to a unit; the last state stays."""
        self.systemd.add(f"{name}.service")
        self.states[f"{name}.service"] = list(states)

    def run(self, command: list[str]) -> tuple[int, str, str]:
        """Take a command; return (code, stdout, stderr)."""
        self.commands.append(command)
        if command[0] == "journalctl":
            return 0, "can't bind\nbye \udcff\n", ""
        for name in command:
            if states := self.states.get(name):
                self.systemd.units[name].update(states.pop(0) if len(states) > 1 else states[0])
        return self.systemd.run(command)

    def wait(self, **checks: HealthCheck | tuple[HealthCheck, float]) -> dict[str, Outcome]:
        """Wait for containers of these names."""
        pairs = {name: given if isinstance(given, tuple) else (given, LONG) for name, given in checks.items()}
        found = Wait(self.run).outcomes([Container(name, *pair) for name, pair in pairs.items()])
        return {outcome.unit.removesuffix(".service"): outcome for outcome in found}


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def closed() -> Iterator[HealthCheck]:
    """A check of a port that nobody opens."""
    with contextlib.closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield HealthCheck(kind="tcp", port=held.getsockname()[1])


def test_it_ends_when_all_are_ready(host: Host) -> None:
    tries = iter([503, 503])
    host.lives("shop", UP)
    host.lives("mail", UP)
    with serve(lambda asked: Reply(next(tries, 200) if asked.path == "/shop" else 200)) as site:
        checks = {name: HealthCheck(port=site.port, path=f"/{name}") for name in ("shop", "mail")}
        found = host.wait(**checks)
        assert len([asked for asked in site.asked if asked.path == "/shop"]) == 3
    assert found == {name: Outcome(f"{name}.service", ready=True) for name in checks}
    assert [command for command in host.commands if command[0] == "journalctl"] == []


def test_no_container_is_no_wait(host: Host) -> None:
    assert host.wait() == {}


def test_a_container_has_its_own_time(host: Host, closed: HealthCheck) -> None:
    host.lives("shop", UP)
    found = host.wait(shop=(closed, 0.4))
    port = closed.port
    assert found["shop"].reason == f"not ready after 0.4 s: 127.0.0.1 port {port}: Connection refused"
    assert found["shop"].journal == ["can't bind", "bye �"]


def test_a_check_that_hangs_does_not_hold_the_wait(host: Host) -> None:
    host.lives("shop", UP)
    with misbehave(hang) as port:
        found = host.wait(shop=(HealthCheck(port=port), 0.4))
    assert found["shop"].reason.startswith("not ready after 0.4 s: no ")


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        # Three ends after the wait has begun.
        (
            [UP, DOWN | {"status": 1}, UP | {"restarts": 1}, UP | {"restarts": 2}, DOWN | {"status": 4, "restarts": 2}],
            "its program ended 3 times, the last time with exit status 4",
        ),
        # It had ended before: systemd counts those, too.
        (
            [UP | {"restarts": 7}, DOWN | {"restarts": 8, "status": 1}, UP | {"restarts": 10, "code": 0}],
            "its program ended 3 times, the last time with exit status 1",
        ),
        # A start by hand begins systemd's count again.
        (
            [UP | {"restarts": 7}, UP | {"restarts": 0}, DOWN | {"restarts": 2, "code": 2, "status": 9}],
            "its program ended 3 times, the last time with signal 9",
        ),
        (
            [UP, {"active": "failed", "sub": "failed", "result": "start-limit-hit", "code": 1, "status": 2}],
            "its unit doesn't run (failed/failed, start-limit-hit, exit status 2)",
        ),
        ([UP, {"active": "inactive", "sub": "dead"}], "its unit doesn't run (inactive/dead, success)"),
    ],
)
def test_a_program_that_does_not_stay_up_is_not_waited_for(
    host: Host, closed: HealthCheck, states: list[dict[str, Any]], reason: str
) -> None:
    host.lives("shop", *states)
    host.lives("mail", UP)
    # The other one could still get ready, but not the slot.
    found = host.wait(mail=closed, shop=closed)
    assert {name: outcome.reason for name, outcome in found.items()} == {"shop": reason}
    assert found["shop"].journal == ["can't bind", "bye �"]


@pytest.mark.parametrize(
    "states",
    [
        [UP, DOWN, UP | {"restarts": 1}, DOWN | {"restarts": 1}, UP | {"restarts": 2}],
        [UP, {"active": "deactivating", "sub": "stop-sigterm"}, UP],
        [{"active": "activating", "sub": "start"}, UP],
        # As systemd 254 and later has it for a moment.
        [UP, {"active": "failed", "sub": "failed-before-auto-restart"}, UP],
    ],
)
def test_a_program_that_ends_twice_may_still_get_ready(host: Host, states: list[dict[str, Any]]) -> None:
    host.lives("shop", *states)
    left = host.states["shop.service"]
    with serve(lambda _asked: Reply(503 if len(left) > 1 else 200)) as site:
        assert host.wait(shop=HealthCheck(port=site.port))["shop"].ready


def test_all_whose_time_is_over_are_named(host: Host, closed: HealthCheck) -> None:
    for name in ("shop", "mail", "slow"):
        host.lives(name, UP)
    assert set(host.wait(shop=(closed, 0.4), mail=(closed, 0.41), slow=closed)) == {"shop", "mail"}


def test_checks_go_on_while_systemd_does_not_respond(host: Host) -> None:
    with serve(lambda _asked: Reply()) as site:
        wait = Wait(lambda _command: (1, "", "Failed to connect to bus"))
        [outcome] = wait.outcomes([Container("shop", HealthCheck(port=site.port), LONG)])
    assert outcome.ready


def test_the_module_waits_for_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("systemctl", "journalctl"):
        (tmp_path / name).write_text(f"#!{sys.executable}\nprint('gone')\nraise SystemExit(1)\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    port = free_port()
    with serve(lambda _asked: Reply(204)) as site:
        given = [{"name": "shop-green", "port": site.port, "path": "/up", "status": 204, "seconds": LONG}]
        result = run_module("slot_ready", containers=given)
        assert result["containers"] == [
            {"unit": "shop-green.service", "ready": True, "reason": "", "output": "", "journal": []}
        ]
        assert [asked.path for asked in site.asked] == ["/up"]
    result = run_module("slot_ready", containers=[{"name": "shop-green", "kind": "tcp", "port": port}], seconds=1)
    assert result["changed"] is False
    reason = f"not ready after 1 s: 127.0.0.1 port {port}: Connection refused"
    assert [(each["ready"], each["reason"]) for each in result["containers"]] == [(False, reason)]


def test_check_mode_waits_for_nothing() -> None:
    result = run_module("slot_ready", check=True, containers=[{"name": "shop-green", "port": free_port()}])
    assert result["containers"] == []
