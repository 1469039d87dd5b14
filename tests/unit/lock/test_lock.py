"""The environment's lock: one holder at a time, found dead by silence, with real processes and no network."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.lock import holder as lock_holder
from ansible.module_utils.greenroom.controller.lock import lock
from ansible.module_utils.greenroom.lock import remote as lock_remote

LOCAL = ["/bin/sh", "-c", lock.remote_command().replace("python3", sys.executable, 1)]
SECONDS = {"renew": 5.0, "expire": 20.0, "poll": 0.5, "timeout": 10.0, "reconnect": 2.0}
ME = {"id": "me", "user": "root", "host": "here", "pid": 1, "playbook": "site.yml", "since": "2026-01-01T00:00:00Z"}
OTHER = ME | {"id": "other", "host": "there"}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "run" / "lock.json")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(lock_remote, "clock", lambda: now[0])
    return now


def written(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


class TestTheFile:
    def test_a_lock_is_taken_renewed_and_released(self, path: str, clock: list[float]) -> None:
        mine, others = lock_remote.Lock(path, ME, 20), lock_remote.Lock(path, OTHER, 20)
        assert mine.take() is None
        assert written(path) == ME | {"renewed": 1000.0}
        clock[0] += 15
        assert others.take() == ME | {"renewed": 1000.0}
        assert mine.take() is None
        clock[0] += 15
        assert others.take() == ME | {"renewed": 1015.0}
        others.release()
        assert mine.holder() is not None
        mine.release()
        assert mine.holder() is None
        mine.release()

    def test_an_expired_lock_is_free(self, path: str, clock: list[float]) -> None:
        lock_remote.Lock(path, OTHER, 20).take()
        clock[0] += 20
        assert lock_remote.Lock(path, ME, 20).take() is None

    def test_a_renewal_in_the_future_is_from_before_a_restart(self, path: str, clock: list[float]) -> None:
        lock_remote.Lock(path, OTHER, 20).take()
        clock[0] = 3
        assert lock_remote.Lock(path, ME, 20).take() is None

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"id": "x"}'])
    def test_an_unreadable_lock_file_has_no_holder(self, path: str, content: str) -> None:
        os.mkdir(os.path.dirname(path))
        Path(path).write_text(content, encoding="utf-8")
        assert lock_remote.Lock(path, ME, 20).take() is None

    def test_the_real_clock_runs(self) -> None:
        assert 0 < lock_remote.clock() <= lock_remote.clock()


class TestAcquiring:
    def acquire(self, path: str, wait: Callable[[float], bool]) -> tuple[bool, list[dict[str, Any]]]:
        said: list[dict[str, Any]] = []

        def say(event: str, **details: Any) -> None:
            said.append({"event": event, **details})

        return lock_remote.acquire(lock_remote.Lock(path, ME, 20), say, wait, 0.5), said

    def test_a_free_lock_is_taken_at_once(self, path: str) -> None:
        assert self.acquire(path, lambda _: pytest.fail("waited")) == (True, [{"event": "held", "took_over": None}])

    def test_the_lock_of_a_crashed_holder_is_taken_over_when_it_expires(self, path: str, clock: list[float]) -> None:
        lock_remote.Lock(path, OTHER, 20).take()

        def wait(seconds: float) -> bool:
            clock[0] += seconds
            return True

        held, said = self.acquire(path, wait)
        assert held
        assert [event["event"] for event in said] == ["waiting", "held"]
        assert said[0]["holder"]["id"] == said[1]["took_over"]["id"] == "other"
        assert clock[0] == 1020

    def test_the_run_is_refused_while_a_holder_renews_its_lock(self, path: str, clock: list[float]) -> None:
        others = lock_remote.Lock(path, OTHER, 20)
        others.take()

        def wait(seconds: float) -> bool:
            clock[0] += seconds
            if clock[0] >= 1003:
                others.take()
            return True

        held, said = self.acquire(path, wait)
        assert not held
        assert [event["event"] for event in said] == ["waiting", "refused"]
        assert clock[0] == 1003

    def test_the_run_is_refused_if_another_holder_was_faster(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        lock_remote.Lock(path, OTHER, 20).take()
        monkeypatch.setattr(lock_remote.Lock, "holder", _first_nothing(lock_remote.Lock.holder))
        held, said = self.acquire(path, lambda _: pytest.fail("waited"))
        assert (held, [event["event"] for event in said]) == (False, ["waiting", "refused"])

    def test_waiting_ends_with_the_connection(self, path: str) -> None:
        lock_remote.Lock(path, OTHER, 20).take()
        assert not self.acquire(path, lambda _: False)[0]

    def test_a_runs_own_lock_is_taken_again_silently(self, path: str) -> None:
        lock_remote.Lock(path, ME, 20).take()
        assert self.acquire(path, lambda _: pytest.fail("waited")) == (True, [{"event": "held", "took_over": None}])


def _first_nothing(real: Any) -> Any:
    calls = []

    def holder(self: Any) -> Any:
        calls.append(1)
        return None if len(calls) == 1 else real(self)

    return holder


class TestServing:
    def serve(self, path: str, text: bytes, capsys: pytest.CaptureFixture[str], again: bool = False) -> list[str]:
        order = {"path": path, "me": ME, "expires": 20, "poll": 0.5, "again": again}
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as commands:
            commands.write(text)
        with open(reading, "rb", buffering=0) as commands_:
            lock_remote.main(commands_, order)
        return [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]

    def test_release_releases_the_lock(self, path: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.serve(path, b"renew\nrelease\n", capsys) == ["held", "released"]
        assert not os.path.exists(path)

    def test_without_release_the_lock_expires(self, path: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.serve(path, b"", capsys) == ["held"]
        assert written(path)["id"] == "me"

    def test_a_holder_that_does_not_renew_in_time_loses_the_lock(
        self, path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lock_remote, "acquire", lambda _lock, say, _wait, _poll: say("held") or True)
        lock_remote.Lock(path, OTHER, 20).take()
        assert self.serve(path, b"renew\n", capsys) == ["held", "lost"]

    def test_a_reconnected_run_keeps_its_lock(
        self, path: str, clock: list[float], capsys: pytest.CaptureFixture[str]
    ) -> None:
        lock_remote.Lock(path, ME, 20).take()
        clock[0] += 100
        assert self.serve(path, b"renew\n", capsys, again=True) == ["held"]
        assert written(path)["renewed"] == 1100

    @pytest.mark.parametrize("age", [1, 100, None])
    def test_a_reconnected_run_loses_a_lock_that_another_run_has_taken(
        self, path: str, clock: list[float], capsys: pytest.CaptureFixture[str], age: float | None
    ) -> None:
        if age:
            lock_remote.Lock(path, OTHER, 20).take()
            clock[0] += age
        assert self.serve(path, b"renew\n", capsys, again=True) == ["lost"]

    def test_a_host_that_can_not_write_the_lock_reports_the_reason(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "run").touch()
        assert self.serve(str(tmp_path / "run" / "lock.json"), b"", capsys) == ["failed"]

    def test_a_waiting_run_can_give_up(self, path: str, capsys: pytest.CaptureFixture[str]) -> None:
        lock_remote.Lock(path, OTHER, 20).take()
        assert self.serve(path, b"renew\nrelease\n", capsys) == ["waiting"]


@contextlib.contextmanager
def a_run() -> Iterator[int]:
    """A process that stands for the main process of a run."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def start(
    pid: int, path: str, run: str = "run", expire: float = 600.0, renew: float = 0.3, **options: Any
) -> list[dict[str, Any]]:
    me = lock.myself(run, pid, "site.yml")
    command = options.pop("command", LOCAL)
    # One that lives is never late, however busy the machine is.
    seconds = SECONDS | {"expire": expire, "renew": renew}
    return list(lock.start(command, "test", me, path=path, seconds=seconds, **options))


def status(pid: int, word: str = "status") -> dict[str, Any] | None:
    answer: dict[str, Any] | None = lock_holder.ask(lock.address("test", pid), word, timeout=60)
    return answer


@pytest.fixture
def hosts_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The clock of the lock's host: no time passes but when a test writes other seconds into this file."""
    clock, program = tmp_path / "clock", tmp_path / "lock_remote.py"
    clock.write_text("1000")
    code = Path(lock_remote.__file__).read_text(encoding="utf-8")
    program.write_text(f"{code}\ndef clock():\n    return float(open({str(clock)!r}).read())\n", encoding="utf-8")
    monkeypatch.setattr(lock_remote, "__file__", str(program))
    return clock


def taken_over(pid: int, path: str, clock: Path) -> list[dict[str, Any]]:
    """Start a second run, and let the lock expire as soon as it waits."""
    said = []
    me, seconds = lock.myself("second", pid, "site.yml"), SECONDS | {"expire": 600.0}
    for event in lock.start(LOCAL, "test", me, path=path, seconds=seconds):
        said.append(event)
        # As a whole: it is read all the time.
        clock.with_suffix(".new").write_text("1600")
        clock.with_suffix(".new").replace(clock)
    return said


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class TestTheHolder:
    def test_the_holder_renews_responds_and_releases(self, path: str) -> None:
        with a_run() as pid:
            assert start(pid, path) == [{"event": "held", "took_over": None}]
            first = written(path)
            assert first["pid"] == pid
            assert status(pid) == {"event": "held", "took_over": None}
            assert eventually(lambda: written(path)["renewed"] > first["renewed"])
            assert status(pid, "release") == {"event": "released"}
            assert not os.path.exists(path)
            assert eventually(lambda: status(pid) is None)

    def test_the_holder_ends_with_a_killed_run_and_the_next_run_takes_over(self, path: str, hosts_clock: Path) -> None:
        with a_run() as pid, a_run() as next_pid:
            start(pid, path, run="first")
            address = lock.address("test", pid)
            os.kill(pid, signal.SIGKILL)
            assert eventually(lambda: lock_holder.ask(address, "status", 20) is None)
            waiting, held = taken_over(next_pid, path, hosts_clock)
            assert waiting["event"] == "waiting"
            assert held["event"] == "held"
            assert held["took_over"]["id"] == "first"
            assert status(next_pid, "release") == {"event": "released"}

    def test_a_run_that_ends_normally_releases_the_lock(self, path: str, tmp_path: Path) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        with a_run() as pid:
            start(pid, path, scratch=str(scratch))
            scratch.rmdir()
            os.kill(pid, signal.SIGKILL)
            assert eventually(lambda: not os.path.exists(path))

    def test_a_crash_leaves_its_scratch_folder_and_the_lock(self, path: str, tmp_path: Path, hosts_clock: Path) -> None:
        with a_run() as pid, a_run() as next_pid:
            start(pid, path, run="first", scratch=str(tmp_path))
            address = lock.address("test", pid)
            os.kill(pid, signal.SIGKILL)
            assert eventually(lambda: lock_holder.ask(address, "status", 20) is None)
            waiting, held = taken_over(next_pid, path, hosts_clock)
            assert (waiting["event"], held["event"]) == ("waiting", "held")
            status(next_pid, "release")

    def test_a_second_run_is_refused_and_told_the_holder(self, path: str) -> None:
        with a_run() as pid, a_run() as other:
            start(pid, path, run="first")
            waiting, refused = start(other, path, run="second")
            assert (waiting["event"], refused["event"]) == ("waiting", "refused")
            assert refused["holder"]["pid"] == pid
            assert eventually(lambda: status(other) is None)
            assert written(path)["id"] == "first"
            status(pid, "release")

    def test_a_second_run_is_told_that_the_first_one_waits_for_an_operator(self, path: str, tmp_path: Path) -> None:
        pause = tmp_path / "pause.json"
        decides = "waits for an operator until noon: playbooks/promote.yml gives green more traffic"
        with a_run() as pid, a_run() as other:
            start(pid, path, run="first")
            for operation, told in (("an-earlier-run", "which is still running; wait"), ("first", decides)):
                pause.write_text(json.dumps({"operation": operation, "slot": "green", "until": "noon"}))
                *_, refused = start(other, path, run="second", pause=str(pause))
                assert refused["event"] == "refused"
                assert told in lock_holder.words(refused, "test")
            status(pid, "release")

    def test_a_broken_connection_is_restored(self, path: str, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        command = ["/bin/sh", "-c", f"echo $$ >> {pids}; exec {LOCAL[2]}"]
        with a_run() as pid:
            start(pid, path, command=command)
            os.kill(int(pids.read_text(encoding="ascii").split()[0]), signal.SIGKILL)
            renewed = written(path)["renewed"]
            assert eventually(lambda: written(path)["renewed"] > renewed)
            assert len(pids.read_text(encoding="ascii").split()) == 2
            assert status(pid) == {"event": "held", "took_over": None}
            status(pid, "release")

    @pytest.mark.parametrize("second", ["works", "ends", "dies"])
    def test_after_an_outage_in_which_a_second_run_had_the_lock_the_first_is_stopped(
        self, path: str, tmp_path: Path, second: str
    ) -> None:
        pids, outage, errors, scratch = (tmp_path / name for name in ("pids", "outage", "errors", "scratch"))
        scratch.mkdir()
        command = ["/bin/sh", "-c", f"test ! -e {outage} || exit 255; echo $$ >> {pids}; exec {LOCAL[2]}"]
        with errors.open("wb") as file, subprocess.Popen(["sleep", "600"], stderr=file) as run, a_run() as other:
            assert start(run.pid, path, run="first", command=command, expire=1.0)[-1]["event"] == "held"
            outage.touch()
            os.kill(int(pids.read_text(encoding="ascii")), signal.SIGKILL)
            events = start(other, path, run="second", expire=1.0, renew=0.2, scratch=str(scratch))
            assert events[-1]["event"] == "held"
            if second != "works":
                if second == "ends":
                    scratch.rmdir()
                address = lock.address("test", other)
                os.kill(other, signal.SIGKILL)
                assert eventually(lambda: lock_holder.ask(address, "status", 20) is None)
                time.sleep(1)
            outage.unlink()
            assert run.wait(60) == -signal.SIGTERM
            assert (written(path)["id"] if os.path.exists(path) else None) == (None if second == "ends" else "second")
            if second == "works":
                status(other, "release")
        assert "this run stops" in errors.read_text(encoding="utf-8")

    def test_a_run_that_lost_its_lock_is_stopped(self, path: str, tmp_path: Path) -> None:
        errors = tmp_path / "errors"
        with errors.open("wb") as file, subprocess.Popen(["sleep", "600"], stderr=file) as run:
            start(run.pid, path, run="slept")
            taken = lock_remote.Lock(path, OTHER, expires=0)
            assert taken.take() is None
            assert run.wait(60) == -signal.SIGTERM
        assert "test is now locked by root@there" in errors.read_text(encoding="utf-8")
        assert written(path)["id"] == "other"

    def test_a_failed_connection_is_reported_with_its_last_message(self, path: str) -> None:
        command = [
            "/bin/sh",
            "-c",
            "echo debug1: noise >&2; echo Permission denied >&2; echo debug1: bye >&2; exit 255",
        ]
        with a_run() as pid:
            (event,) = start(pid, path, command=command)
            assert event == {"event": "unreachable", "message": "Permission denied", "code": 255}

    def test_a_password_that_sudo_reads_or_leaves(self, path: str) -> None:
        reads = ["/bin/sh", "-c", f'read password; test "$password" = pass && exec {LOCAL[2]}']
        for command in (LOCAL, reads):
            with a_run() as pid:
                assert start(pid, path, command=command, password="pass")[-1]["event"] == "held"
                assert status(pid, "release") == {"event": "released"}

    def test_a_holder_that_can_not_start_is_reported(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        class Gone(subprocess.Popen[bytes]):
            """A child that has ended before its order is written."""

            def __init__(self, *args: Any, **named: Any) -> None:
                super().__init__(*args, **named)
                self.wait()

        monkeypatch.setattr(lock_holder, "__file__", "/nowhere/lock_holder.py")
        with a_run() as pid:
            monkeypatch.setattr(lock.subprocess, "Popen", Gone)
            assert start(pid, path)[0]["event"] == "unreachable"

    def test_only_a_response_of_the_same_user_is_trusted(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with a_run() as pid:
            start(pid, path)
            address = lock.address("test", pid)
            monkeypatch.setattr(os, "getuid", lambda: 4242)
            assert lock_holder.ask(address, "status", 20) is None
            monkeypatch.undo()
            status(pid, "release")

    def test_a_missing_process_has_no_lock(self) -> None:
        with pytest.raises(ProcessLookupError):
            lock.address("test", 2**22 + 1)


class TestInProcess:
    """The holder's program, where coverage sees it."""

    def test_it_holds_until_asked_to_release(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with a_run() as pid:
            order = self.order(pid, path)
            address = lock.address("test", pid)

            def release() -> None:
                eventually(lambda: (lock_holder.ask(address, "status", 20) or {}).get("event") == "held")
                lock_holder.ask(address, "release", 20)

            thread = threading.Thread(target=release)
            thread.start()
            out = self.run(order, monkeypatch)
            thread.join()
            assert [event["event"] for event in out] == ["held"]
            assert not os.path.exists(path)

    def test_a_new_process_with_the_same_id_gets_no_lock(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with a_run() as pid:
            assert self.run(self.order(pid, path) | {"started": 1}, monkeypatch) == []

    @pytest.mark.parametrize(
        ("last", "events"),
        [
            ('{"event": "refused"}', ["refused"]),
            ('{"event": "held"}\n{"event": "lost"}', ["held", "lost"]),
            ('{"event": "failed", "message": "no"}', ["failed"]),
            ("", ["unreachable"]),
        ],
    )
    def test_the_last_line_of_the_hosts_errors_is_returned(
        self, path: str, monkeypatch: pytest.MonkeyPatch, last: str, events: list[str]
    ) -> None:
        with a_run() as pid:
            command = ["/bin/sh", "-c", f"echo BECOME-SUCCESS; printf '%s\\n' '{last}'"]
            out = self.run(self.order(pid, path) | {"command": command}, monkeypatch)
            assert [event["event"] for event in out] == events

    def test_it_ends_with_the_run_though_the_connection_hangs(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with subprocess.Popen(["sleep", "1"]) as main:
            command = ["/bin/sh", "-c", "trap '' TERM; exec sleep 120"]
            started = time.monotonic()
            out = self.run(self.order(main.pid, path) | {"command": command}, monkeypatch)
            assert time.monotonic() - started < 60
            assert [event["event"] for event in out] == ["unreachable"]

    def test_a_broken_connection_is_made_again(
        self, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flag = tmp_path / "flag"
        again = f"""if test -e {flag}; then sleep 1; echo '{{"event": "lost"}}'; fi; : > {flag}"""
        script = f"""echo '{{"event": "held"}}'; {again}"""
        with a_run() as pid:
            order = self.order(pid, path) | {"command": ["/bin/sh", "-c", script]}
            out = self.run(order | {"seconds": order["seconds"] | {"reconnect": 0.1}}, monkeypatch)
            assert [event["event"] for event in out] == ["held", "lost"]

    def order(self, pid: int, path: str) -> dict[str, Any]:
        code = Path(lock_remote.__file__).read_text(encoding="utf-8")
        remote = {"code": code, "path": path, "me": ME, "expires": 20, "poll": 0.5}
        started = lock_holder.start_time(pid)
        return {
            "command": LOCAL,
            "remote": remote,
            "environment": "test",
            "pid": pid,
            "started": started,
            "seconds": SECONDS | {"renew": 0.2},
        }

    def run(self, order: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        out = io.StringIO()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(order).encode() + b"\n")))
        monkeypatch.setattr(sys, "stdout", out)
        lock_holder.main()
        return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            {"event": "waiting", "holder": ME, "seconds": 20.0},
            "test is locked by root@here (process 1, site.yml, since 2026-01-01T00:00:00Z); "
            "if that run has crashed, the lock expires in 20 s",
        ),
        (
            {"event": "refused", "holder": {"id": "x"}},
            "test is locked by unknown@unknown (process unknown, unknown, since unknown), "
            "which is still running; wait until it ends",
        ),
        (
            {"event": "held", "took_over": ME},
            "test is locked by this run, after root@here (process 1, site.yml, since 2026-01-01T00:00:00Z), "
            "which ended without releasing the lock",
        ),
        ({"event": "held", "took_over": None}, "test is locked by this run"),
        (
            {"event": "lost", "holder": ME},
            "test is now locked by root@here (process 1, site.yml, since 2026-01-01T00:00:00Z), "
            "because this run did not renew its lock in time",
        ),
        (
            {"event": "lost", "holder": None},
            "test is no longer locked by this run: it did not renew its lock in time, and another run may have had it",
        ),
        ({"event": "failed", "message": "no space"}, "test can't be locked: no space"),
        (
            {"event": "unreachable", "message": "Permission denied", "code": 255},
            "test can't be locked: can't reach the lock's host: Permission denied",
        ),
        (
            {"event": "unreachable", "message": "", "code": 255},
            "test can't be locked: can't reach the lock's host: 255",
        ),
    ],
)
def test_every_event_has_a_message(event: dict[str, Any], line: str) -> None:
    assert lock_holder.words(event, "test") == line


def test_a_connection_to_a_silent_host_ends_within_the_timeout() -> None:
    for timeout, options in ((10.0, "ServerAliveInterval=5"), (1.0, "ServerAliveInterval=1")):
        assert options in lock.ssh_options(timeout)
        assert "ServerAliveCountMax=2" in lock.ssh_options(timeout)
