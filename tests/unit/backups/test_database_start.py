# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether PostgreSQL may start: an empty cluster never takes the place of one that has backups by accident."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.backups import start
from ansible.module_utils.greenroom.backups.calls import ClusterError

STOP = 1767484800
WITH_BACKUPS = {"backup": [{"label": "20260104-000000F", "timestamp": {"stop": STOP}}], "db": [{"system-id": 111}]}
WITHOUT: dict[str, Any] = {"backup": [], "db": []}


class Host:
    """A host with a cluster of this identity and these databases, and a repository that has `info`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data = folder / "17/main"
        self.calls: list[list[str]] = []
        self.asked = 0
        self.identity = ""
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(start, "STAMP", folder / "state/cluster.json")
        monkeypatch.setattr(start, "DECISION", folder / "decision")
        monkeypatch.setattr(start, "call", self.call)
        monkeypatch.setattr(start, "system_id", lambda _data: self.identity)
        monkeypatch.setattr(start.shutil, "chown", lambda *_: None)
        monkeypatch.setattr(start, "starting", lambda: False)

    def cluster(self, identity: str, *databases: str) -> None:
        self.identity = identity
        for name in ("1", "4", "5", *databases):
            (self.data / "base" / name).mkdir(parents=True, exist_ok=True)

    def decide(self, text: str) -> None:
        start.DECISION.write_text(f"{text}\n")

    def call(self, *command: str | Path, what: str = "") -> str:
        self.calls.append([Path(str(command[0])).name, *map(str, command[1:])])
        return ""

    def guard(self, info: dict[str, Any] | Exception) -> str:
        def ask(_stanza: str, _seconds: float) -> dict[str, Any]:
            self.asked += 1
            if isinstance(info, Exception):
                raise info
            return info

        found: str = start.guard("staging", self.data, ask)
        return found


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


@pytest.mark.parametrize("decision", ["", "latest", "none"])
def test_a_cluster_with_data_starts_without_the_repository(host: Host, decision: str) -> None:
    host.cluster("222", "16384")
    if decision:
        host.decide(decision)
    host.guard(ClusterError("down"))
    assert (host.asked, host.calls, start.DECISION.exists()) == (0, [], False)


def test_a_new_cluster_starts_if_there_is_nothing_to_restore(host: Host) -> None:
    host.cluster("222")
    assert host.guard(WITHOUT) == "there is nothing to restore"
    assert host.calls == []


def test_a_new_cluster_that_is_the_one_of_the_backups_starts(host: Host) -> None:
    host.cluster("111")
    assert host.guard(WITH_BACKUPS) == "there is nothing to restore"


@pytest.mark.parametrize("make", [lambda host: host.cluster("222"), lambda host: None], ids=["new", "missing"])
def test_without_a_decision_nothing_starts(host: Host, make: Callable[[Host], None]) -> None:
    make(host)
    with pytest.raises(ClusterError) as refused:
        host.guard(WITH_BACKUPS)
    assert "the last of 2026-01-04T00:00:00Z" in str(refused.value)
    assert "-e restore_from_backup=latest" in str(refused.value)
    assert host.calls == []


@pytest.mark.parametrize("make", [lambda host: host.cluster("222"), lambda host: None], ids=["new", "missing"])
def test_a_decision_restores_the_backup(host: Host, make: Callable[[Host], None]) -> None:
    make(host)
    host.decide("latest")
    host.guard(WITH_BACKUPS)
    assert host.calls == [["pgbackrest", "--stanza=staging", "--delta", "restore"]]
    # A restore that is interrupted goes on at the next start.
    assert start.DECISION.exists()
    assert host.data.is_dir()


def test_a_decision_that_can_not_be_carried_out_is_void(host: Host) -> None:
    host.decide("2025-01-01T00:00:00Z")
    with pytest.raises(ClusterError, match="can restore times since 2026-01-04"):
        host.guard(WITH_BACKUPS)
    assert not start.DECISION.exists()


@pytest.mark.parametrize("exists", [True, False])
def test_starting_empty_is_a_decision_that_needs_no_repository(host: Host, exists: bool) -> None:
    if exists:
        host.cluster("222")
    host.decide("none")
    assert host.guard(ClusterError("down")) == "an operator decided to start empty"
    assert [call[0] for call in host.calls] == ([] if exists else ["initdb"])
    assert not start.DECISION.exists()


def test_a_repository_that_does_not_answer_is_no_reason_to_start_empty(host: Host) -> None:
    host.cluster("222")
    with pytest.raises(ClusterError, match="can't be told whether there are backups to restore: down"):
        host.guard(ClusterError("down"))


def test_a_decision_that_the_repository_does_not_answer_makes_way_for_another_one(host: Host) -> None:
    # template_tree writes the next one only if there is none.
    host.decide("latest")
    with pytest.raises(ClusterError, match="can't be told"):
        host.guard(ClusterError("down"))
    assert not start.DECISION.exists()


def test_a_decision_of_long_ago_decides_nothing(host: Host) -> None:
    host.decide("none")
    os.utime(start.DECISION, (0, 0))
    with pytest.raises(ClusterError, match="Nothing was started"):
        host.guard(WITH_BACKUPS)
    assert host.calls == []
    assert not start.DECISION.exists()


@pytest.mark.parametrize("known", [True, False])
def test_a_recovery_that_ended_too_early_can_be_decided_again(host: Host, known: bool) -> None:
    host.cluster("111", "16384")
    if known:
        # The host is the same, and only lost the disk with its databases.
        start.STAMP.parent.mkdir()
        start.STAMP.write_text('{"system_id": "111"}')
        host.decide("2026-01-05T00:00:00Z")
    (host.data / "recovery.signal").touch()

    def ended(_statement: str) -> str:
        raise ClusterError("no such file")

    host.monkeypatch.setattr(start, "sql", ended)
    with pytest.raises(ClusterError, match="run again with -e restore_from_backup=latest"):
        start.settle(host.data)
    # Without a decision, PostgreSQL only goes on with the recovery.
    start.DECISION.unlink(missing_ok=True)
    assert host.guard(WITH_BACKUPS) == "the cluster has data"
    host.decide("none")
    with pytest.raises(ClusterError, match="delete that folder"):
        host.guard(WITH_BACKUPS)
    assert host.calls == []
    host.decide("latest")
    host.guard(WITH_BACKUPS)
    assert host.calls == [["pgbackrest", "--stanza=staging", "--delta", "restore"]]


def test_a_long_recovery_is_waited_for(host: Host) -> None:
    host.cluster("222", "16384")
    answers = iter([True, True, False])
    host.monkeypatch.setattr(start, "starting", lambda: next(answers))
    host.monkeypatch.setattr(start, "sql", lambda _statement: "f")
    host.monkeypatch.setattr(start.time, "sleep", lambda _seconds: None)
    assert start.settle(host.data) == "the cluster is ready"


def test_the_cluster_is_remembered_once_its_recovery_is_over(host: Host) -> None:
    answers = iter(["t", "t", "f"])
    host.monkeypatch.setattr(start, "sql", lambda _statement: next(answers))
    host.monkeypatch.setattr(start.time, "sleep", lambda _seconds: None)
    host.cluster("222")
    host.decide("latest")
    start.settle(host.data)
    assert json.loads(start.STAMP.read_text()) == {"system_id": "222"}
    assert not start.DECISION.exists()
    assert start.settle(host.data) == "nothing to wait for"
    # From now on, it starts without a question, although it has no databases yet.
    host.guard(ClusterError("down"))
    assert host.asked == 0
