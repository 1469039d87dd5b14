# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module canary_traffic, with a journal that a script plays and the sockets of a made-up HAProxy."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import edge_workers
from ansible.module_utils.greenroom.switch import haproxy
from edge_log import entry
from fake_journal import SUPPRESSED, FakeJournal
from modules import run_module

# Of HAProxy 3.0.11: a request without a response, an upload that the client has not finished, a response in transfer,
# and this command itself.
OPEN = """\
0x7f2485682c00: [29/Nov/2026:13:48:22.648462] id=5 proto=tcpv4 source=127.0.0.1:34246
  flags=0xc4a, conn_retries=0, conn_exp=<NEVER> conn_et=0x000 srv_conn=0x7f2486a68000, pend_pos=(nil) waiting=0 epoch=0
  frontend=public (id=4 mode=http), listener=? (id=1) addr=127.0.0.1:443
  backend=order_http_green (id=9 mode=http) addr=127.0.0.1:53386
  server=app1 (id=1) addr=127.18.10.21:17001
  task=0x7f2485c06140 (state=0x00 nice=0 calls=2 rate=0 exp=0s tid=0(1/0) age=4s)
  txn=0x7f2485c77000 flags=0x3000 meth=1 status=-1 req.st=MSG_DONE rsp.st=MSG_RPBEFORE req.f=0x4c rsp.f=0x00
      h1s=0x7f2485bed040 h1s.flg=0x100010 .req.state=MSG_DONE .res.state=MSG_RPBEFORE
       .meth=GET status=0 .sd.flg=0x50404001 .sc.flg=0x00000482 .sc.app=0x7f2485682c00
0x7f2485683000: [29/Nov/2026:13:48:22.658365] id=8 proto=tcpv4 source=127.0.0.1:34268
  frontend=public (id=4 mode=http), listener=? (id=1) addr=127.0.0.1:443
  backend=order_http_green (id=9 mode=http) addr=127.0.0.1:42244
  txn=0x7f2485bdb620 flags=0x0 meth=3 status=-1 req.st=MSG_DATA rsp.st=MSG_RPBEFORE req.f=0x0d rsp.f=0x00
0x7f24858f3400: [29/Nov/2026:13:48:22.668476] id=9 proto=tcpv4 source=127.0.0.1:34274
  frontend=public (id=4 mode=http), listener=? (id=1) addr=127.0.0.1:443
  backend=order_http_green (id=9 mode=http) addr=127.0.0.1:53404
  txn=0x7f2485bdb8c0 flags=0x3000 meth=1 status=200 req.st=MSG_DONE rsp.st=MSG_DATA req.f=0x4c rsp.f=0x0d
0x7f2485bf1800: [29/Nov/2026:13:48:26.675560] id=14 proto=unix_stream source=unix:1
  frontend=GLOBAL (id=0 mode=tcp), listener=? (id=1) addr=unix:1
  backend=<NONE> (id=-1 mode=-)
  server=<NONE> (id=-1)
"""
LOST = "its log no longer goes back to the last reading: the journal was rotated away or vacuumed"


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeJournal:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return FakeJournal(tmp_path)


class Workers:
    """What HAProxy's workers say; `open` is the output of each `show sess`, the last one stays."""

    def __init__(self) -> None:
        self.open: list[str] = [""]
        self.dropped = {"100": 0}
        self.problem: Exception | None = None

    def workers(self, *_sockets: Any) -> list[haproxy.Worker]:
        return [haproxy.Worker(name, "") for name in self.dropped]

    def shown(self, worker: haproxy.Worker, command: str, _seconds: float) -> str:
        if self.problem:
            raise self.problem
        if command == edge_workers.INFO:
            return f"Name: HAProxy\nDroppedLogs: {self.dropped[worker.name]}\nStopping: 0\n"
        return self.open.pop(0) if len(self.open) > 1 else self.open[0]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    fake = Workers()
    monkeypatch.setattr(haproxy, "workers", fake.workers)
    monkeypatch.setattr(haproxy, "shown", fake.shown)
    monkeypatch.setattr(edge_workers, "PAUSE", 0.01)
    return fake


def traffic(check: bool = False, **given: Any) -> dict[str, Any]:
    result = run_module("canary_traffic", check=check, **given)
    assert not result.get("failed"), result
    return result


def counts(result: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {slot: (figures["requests"], figures["failed"]) for slot, figures in result["slots"].items()}


@pytest.mark.parametrize("check", [False, True])
def test_lines_after_the_mark_are_counted_by_slot(journal: FakeJournal, workers: Workers, check: bool) -> None:
    journal.write(entry(), "a line of another program", kind="SYSLOG_IDENTIFIER=cron")
    first = traffic(check=check)
    assert (first["lines"], counts(first)) == (0, {"blue": (0, 0), "green": (0, 0)})
    journal.write(entry(), entry(slot="blue", chosen="live", status=500), entry(chosen="tester"), "app1 is UP", "{")
    journal.write(entry(), kind="SYSLOG_IDENTIFIER=cron")
    result = traffic(check=check, after=first["mark"])
    assert (result["changed"], result["lines"], result["gaps"]) == (False, 5, [])
    assert counts(result) == {"green": (1, 0), "blue": (1, 1)}
    journal.write(entry())
    assert counts(traffic(after=result["mark"]))["green"] == (1, 0)


def test_nothing_new_leaves_the_mark(journal: FakeJournal, workers: Workers) -> None:
    journal.write(entry())
    mark = traffic()["mark"]
    again = traffic(after=mark)
    assert (again["lines"], again["mark"], again["gaps"]) == (0, mark, [])


def test_no_clock_decides_what_is_read(journal: FakeJournal, workers: Workers) -> None:
    """Not even this host's own, which may be set back meanwhile."""
    journal.write(entry(), ago=-3600)
    mark = traffic()["mark"]
    journal.write(entry(), entry(), ago=3600)
    assert counts(traffic(after=mark))["green"] == (2, 0)
    assert not any("--since" in asked for asked in journal.asked)


def test_an_empty_journal_is_read_from_its_beginning(journal: FakeJournal, workers: Workers) -> None:
    mark = traffic()["mark"]
    journal.write(entry())
    result = traffic(after=mark)
    assert (counts(result)["green"], result["gaps"]) == ((1, 0), [])


def test_a_journal_that_lost_the_mark_is_incomplete(journal: FakeJournal, workers: Workers) -> None:
    journal.write(entry())
    mark = traffic()["mark"]
    journal.write(entry(status=500))
    journal.vacuum()
    journal.write(entry())
    result = traffic(after=mark)
    assert (result["gaps"], counts(result)["green"]) == ([LOST], (1, 0))
    # The next reading is complete again.
    assert traffic(after=result["mark"])["gaps"] == []


def test_lines_that_were_dropped_are_reported(journal: FakeJournal, workers: Workers) -> None:
    workers.dropped = {"100": 7}
    mark = traffic()["mark"]
    journal.write(*[entry()] * 80)
    # One in a hundred misses in both slots alike.
    assert traffic(after=mark)["gaps"] == []
    workers.dropped = {"100": 12, "200": 5}
    for number, unit in ((10, "haproxy"), (9, "cron")):
        journal.write(f"Suppressed {number} messages from {unit}.service", kind=SUPPRESSED)
    result = traffic(after=mark)
    assert result["gaps"] == ["dropped 20 of 101 log lines"]
    assert traffic(after=result["mark"])["gaps"] == []


def test_lines_above_the_limit_are_skipped_and_that_is_reported(journal: FakeJournal, workers: Workers) -> None:
    mark = traffic()["mark"]
    journal.write(*[entry()] * 5000)
    result = traffic(after=mark, limit=100)
    assert (result["lines"], result["gaps"]) == (100, ["logged more than the 100 lines that were read"])
    assert result["slots"]["green"]["requests"] == 100
    assert traffic(after=result["mark"])["lines"] == 0
    assert traffic(after=mark, limit=5000)["gaps"] == []


def test_a_journal_that_can_not_be_read_is_an_error(journal: FakeJournal, workers: Workers) -> None:
    journal.code = 1
    result = run_module("canary_traffic")
    assert result["failed"]
    assert "can't read the journal" in result["msg"]


# The baseline


def utc(ago: float) -> str:
    return datetime.fromtimestamp(time.time() - ago, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("served", "oldest", "expected"),
    [
        (0, 9000, (2, 600)),
        (7200, 9000, (2, 600)),
        # What the slot served before that was another release.
        (400, 9000, (1, 400)),
        # The journal doesn't go back as far.
        (0, 500, (2, 500)),
    ],
)
def test_the_baseline_begins_with_its_release(
    journal: FakeJournal, workers: Workers, served: float, oldest: float, expected: tuple[int, int]
) -> None:
    requests, seconds = expected
    journal.write("boot", kind="SYSLOG_IDENTIFIER=kernel", ago=oldest)
    if oldest > 600:
        journal.write(entry(), ago=700)
    journal.write(entry(), ago=450)
    journal.write(entry(), ago=300)
    result = traffic(last=600, not_before=utc(served) if served else "")
    assert (counts(result)["green"], result["gaps"]) == ((requests, 0), [])
    # The machine may be busy.
    assert seconds <= result["seconds"] < seconds + 60
    journal.write(entry())
    assert counts(traffic(after=result["mark"]))["green"] == (1, 0)


def test_the_baseline_has_parts_as_long_as_an_interval(journal: FakeJournal, workers: Workers) -> None:
    journal.write("boot", kind="SYSLOG_IDENTIFIER=kernel", ago=900)
    for ago in (590, 400, 390, 100):
        journal.write(entry(path="/api/x"), ago=ago)
    result = traffic(last=500, interval=150, routes=["/api"])
    assert [part["seconds"] for part in result["parts"]] == [150, 150, 150]
    # What is older than the first whole part doesn't count.
    assert [part["slots"]["green"]["requests"] for part in result["parts"]] == [2, 0, 1]
    assert "all GET /api" in result["parts"][0]["slots"]["green"]["routes"]
    assert (result["lines"], round(result["seconds"])) == (3, 500)
    journal.write(entry())
    assert counts(traffic(after=result["mark"]))["green"] == (1, 0)
    # A shorter time is one part.
    (part,) = traffic(last=50, interval=150)["parts"]
    assert (part["seconds"], part["slots"]["green"]["requests"]) == (50, 1)


# Requests that hang


def test_requests_without_a_response_are_found() -> None:
    assert edge_workers.waiting(OPEN) == {"5": "green"}
    assert edge_workers.waiting("") == {}


def test_a_request_that_ends_late_is_waited_for(journal: FakeJournal, workers: Workers) -> None:
    mark = traffic()["mark"]
    workers.open = [OPEN, OPEN, OPEN.replace("id=5 ", "id=77 ")]
    result = traffic(after=mark, settle=60)
    assert (result["waiting"], len(workers.open)) == ({}, 1)


def test_a_request_that_hangs_is_reported(journal: FakeJournal, workers: Workers) -> None:
    mark = traffic()["mark"]
    # Each worker has its own numbers.
    workers.dropped = {"100": 0, "200": 0}
    workers.open = [OPEN]
    assert traffic(after=mark, settle=0.1)["waiting"] == {"green": 2}
    # Only at the end of a step.
    assert traffic(after=mark)["waiting"] == {}


def test_a_haproxy_that_does_not_respond_is_reported(journal: FakeJournal, workers: Workers) -> None:
    mark = traffic()["mark"]
    workers.problem = haproxy.SocketError("admin.sock did not answer within 5 s")
    assert traffic(after=mark, settle=1)["gaps"] == ["HAProxy did not respond: admin.sock did not answer within 5 s"]
    # An old worker that has ended meanwhile has no requests.
    workers.problem = haproxy.NobodyThereError("worker 100: Can't find the target PID")
    assert traffic(after=mark, settle=1)["gaps"] == []


def test_without_haproxy_no_request_is_open(journal: FakeJournal) -> None:
    nothing = f"{journal.folder}/nothing.sock"
    result = traffic(settle=1, socket=nothing, master_socket=nothing)
    assert (result["waiting"], result["gaps"]) == ({}, [])
