# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Faults are systemd's doing, undone by whoever comes first: the drill, a timer, a reboot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.drill import fault
from ansible.module_utils.greenroom.drill.fault import Faults
from modules import run_module

LIST = """shop-blue.service loaded active running Shop
haproxy.service loaded active running HAProxy
user@1000.service loaded active running User Manager
"""
SHOW = """Id=shop-blue.service\nUnitFileState=generated

Id=haproxy.service\nUnitFileState=enabled

Id=user@1000.service\nUnitFileState=static
"""


class Host:
    """A systemd that does what it is told, and remembers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.called: list[str] = []
        self.down: set[str] = set()
        self.refuses = ""
        self.faults = Faults(self.run, folder)

    def run(self, command: list[str]) -> tuple[int, str, str]:
        words = " ".join(command)
        self.called.append(words)
        if self.refuses and self.refuses in words:
            return 1, "", f"Job for {self.refuses} failed."
        match command:
            case ["systemctl", "is-active", "--quiet", unit]:
                return (3 if unit in self.down else 0), "", ""
            case ["systemctl", "list-units", *_]:
                return 0, LIST, ""
            case ["systemctl", "show", *_]:
                return 0, SHOW, ""
            case ["systemctl", "start", *units]:
                self.down -= set(units)
        return 0, "", ""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "system")


@pytest.mark.parametrize(
    ("how", "does"),
    [("stopped", "systemctl stop a.service b.service"),
     ("killed", "systemctl kill --kill-whom=all --signal=SIGKILL a.service b.service")],
)  # fmt: skip
def test_what_breaks_stays_broken_and_its_end_is_seen_to_first(host: Host, how: str, does: str) -> None:
    when = host.faults.inject(how, ["a.service", "b.service"], 300)
    timer, reload, done = host.called
    assert timer.startswith("systemd-run --unit=greenroom-drill-undo --on-active=300 ")
    assert timer.endswith("systemctl start a.service b.service")
    assert reload == "systemctl daemon-reload"
    assert done == does
    assert when["at"] <= when["ended"]
    assert host.faults.broken() == ["a.service", "b.service"]
    text = (host.folder / "a.service.d/zz-greenroom-drill.conf").read_text()
    assert "Restart=no" in text
    assert "ExecStartPre=/bin/false" in text


def test_a_restart_needs_no_undoing(host: Host) -> None:
    host.faults.inject("restarted", ["a.service"], 300)
    assert host.called == ["systemctl restart a.service"]
    assert host.faults.broken() == []


def test_undoing_mends_all_that_a_drill_broke_and_a_second_time_nothing(host: Host) -> None:
    host.faults.inject("killed", ["a.service"], 300)
    host.down = {"a.service", "b.service"}
    host.called.clear()
    assert host.faults.undo(["b.service"])
    assert host.called[-3:] == [
        "systemctl daemon-reload",
        "systemctl reset-failed a.service b.service",
        "systemctl start a.service b.service",
    ]
    assert "systemctl stop greenroom-drill-undo.timer" in host.called
    assert host.faults.broken() == []
    host.called.clear()
    assert not host.faults.undo(["a.service", "b.service"])
    assert not any("start" in call.split() for call in host.called)


def test_a_unit_that_does_not_come_back_is_told(host: Host) -> None:
    host.down, host.refuses = {"a.service"}, "start a.service"
    with pytest.raises(fault.FaultError, match=r"systemctl start a\.service: Job for start a\.service failed"):
        host.faults.undo(["a.service"])


@pytest.mark.parametrize("name", ["a", "a.service; reboot", "$(reboot).service", "../x.service"])
def test_what_is_no_unit_is_refused(host: Host, name: str) -> None:
    with pytest.raises(fault.FaultError, match="not the name of a service"):
        host.faults.inject("stopped", [name], 300)
    assert host.called == []


def test_what_runs_is_what_would_come_back_after_a_boot(host: Host) -> None:
    assert host.faults.running() == ["haproxy.service", "shop-blue.service"]


# The module

PROGRAM = '#!/bin/sh\necho "$(basename "$0") $*" >>{folder}/called\nexit 0\n'


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl and a systemd-run that note how they are called."""
    for name in ("systemctl", "systemd-run"):
        (tmp_path / name).write_text(PROGRAM.format(folder=tmp_path))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    original = Faults.__init__
    monkeypatch.setattr(Faults, "__init__", lambda self, run: original(self, run, tmp_path / "system"))
    return tmp_path / "called"


def call(**arguments: Any) -> dict[str, Any]:
    return run_module("drill_fault", **arguments)


def test_the_module_breaks_and_mends(systemd: Path) -> None:
    result = call(state="injected", how="killed", units=["a.service"], limit=60)
    assert (result["changed"], result["broken"]) == (True, ["a.service"])
    assert result["at"] <= result["ended"]
    result = call(state="undone", units=["a.service"])
    assert (result["changed"], result["broken"]) == (True, [])
    result = call(state="undone", units=["a.service"])
    assert result["changed"] is False
    assert "systemctl start a.service" in systemd.read_text()


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [({"state": "injected", "how": "stopped"}, True), ({"state": "undone"}, False)],
    ids=["breaking", "mending what is whole"],
)
def test_check_mode_does_nothing(systemd: Path, arguments: dict[str, Any], changed: bool) -> None:
    result = call(check=True, units=["a.service"], **arguments)
    assert result["changed"] is changed
    assert not systemd.exists()


def test_breaking_needs_to_be_told_what_and_how() -> None:
    assert "missing" in call(state="injected")["msg"]


def test_the_module_only_looks_when_not_told_otherwise(systemd: Path) -> None:
    result = call()
    assert (result["changed"], result["running"], result["broken"]) == (False, [], [])
    assert systemd.read_text().startswith("systemctl list-units")
