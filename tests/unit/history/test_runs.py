"""The history of the runs: as the lock writes it, and as it is read."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.history import runs
from ansible.module_utils.greenroom.lock import remote

ME = {"id": "1", "user": "ann", "host": "control1", "pid": 1, "playbook": "site.yml", "since": "2026-01-01T00:00:00Z"}
SUMMARY = {"live slot": "green, release 1.1", "deployed": "release 1.1 to green", "cut over": "from blue to green"}


def run_of(path: Path, me: dict[str, Any], words: bytes, full: int = 1 << 20) -> None:
    """Let a run take the lock, say `words`, and end."""
    lock = remote.Lock(str(path.parent / "lock.json"), me, 20, history=str(path))
    lock.history.full = full
    remote.serve(lock, io.BytesIO(words), lambda event, **details: None, 0.01, False)


def ended(result: dict[str, Any]) -> bytes:
    return b"ended " + json.dumps(result).encode() + b"\nrelease\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history" / "runs.jsonl"


class TestReading:
    def test_a_run_that_passed_says_what_it_did(self, path: Path) -> None:
        run_of(path, ME | {"reason": "practice"}, ended({"result": "passed", "summary": SUMMARY}))
        (run,) = runs.runs(path.read_text())
        assert (run["user"], run["playbook"], run["reason"], run["result"]) == ("ann", "site.yml", "practice", "passed")
        assert runs.words(run) == "deployed release 1.1 to green; cut over from blue to green"
        assert run["until"] >= "2026"

    def test_a_run_that_changed_nothing_says_what_is_live(self, path: Path) -> None:
        nothing = {"live slot": "blue, release 1.0", "deployed": "nothing", "cut over": "no"}
        run_of(path, ME, ended({"result": "passed", "summary": nothing}))
        assert [runs.words(run) for run in runs.runs(path.read_text())] == ["live: blue, release 1.0"]

    def test_a_run_that_failed_says_where(self, path: Path) -> None:
        run_of(path, ME, ended({"result": "failed", "task": "edge : Reload", "hosts": ["edge1", "edge2"]}))
        (run,) = runs.runs(path.read_text())
        assert (run["result"], runs.words(run)) == ("failed", "edge : Reload on edge1, edge2")

    def test_a_run_without_an_end_has_crashed_unless_it_has_the_lock(self, path: Path) -> None:
        run_of(path, ME, b"renew\n")
        text = path.read_text()
        assert [run["result"] for run in runs.runs(text)] == ["crashed"]
        assert [run["result"] for run in runs.runs(text, ["1"])] == ["running"]
        assert [run["result"] for run in runs.runs(text, ["2"])] == ["crashed"]

    def test_the_newest_run_comes_first(self, path: Path) -> None:
        for number in (1, 2, 3):
            me = ME | {"id": str(number), "since": f"2026-01-0{number}T00:00:00Z"}
            run_of(path, me, ended({"result": "passed"}))
        assert [run["id"] for run in runs.runs(path.read_text())] == ["3", "2", "1"]

    def test_durations(self) -> None:
        now = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
        run = runs.EMPTY | {"since": "2026-01-01T00:00:00Z"}
        assert runs.seconds(run | {"until": "2026-01-01T00:01:40Z"}, now) == 100
        assert runs.seconds(run | {"result": "running"}, now) == 600
        assert runs.seconds(run, now) is None

    def test_other_lines_are_left_out(self) -> None:
        assert runs.runs('{"id": "1", "event": "beg\n[]\n{}\n') == []


class TestTheChain:
    def test_unchanged_lines_fit(self, path: Path) -> None:
        for _ in range(3):
            run_of(path, ME, ended({"result": "passed"}))
        assert len(path.read_text().splitlines()) == 6
        assert runs.changed_lines(path.read_text()) == []

    def test_a_changed_line_is_found(self, path: Path) -> None:
        for user in ("ann", "bob", "eve"):
            run_of(path, ME | {"user": user}, ended({"result": "passed"}))
        assert runs.changed_lines(path.read_text().replace('"bob"', '"ann"')) == [4]

    def test_a_removed_line_is_found(self, path: Path) -> None:
        for _ in range(3):
            run_of(path, ME, ended({"result": "passed"}))
        lines = path.read_text().splitlines(keepends=True)
        assert runs.changed_lines("".join(lines[:2] + lines[3:])) == [3]

    def test_an_incomplete_line_stays_and_the_next_one_begins_anew(self, path: Path) -> None:
        run_of(path, ME, ended({"result": "passed"}))
        with path.open("a") as file:
            file.write('{"id": "2", "ev')
        run_of(path, ME | {"id": "3"}, ended({"result": "passed"}))
        text = path.read_text()
        assert len(text.splitlines()) == 5
        assert {run["id"] for run in runs.runs(text)} == {"1", "3"}
        # The incomplete line has no hash of the one before.
        assert runs.changed_lines(text) == [3]

    def test_a_full_file_is_kept_once_and_the_chain_goes_on(self, path: Path) -> None:
        for number in range(3):
            run_of(path, ME | {"id": str(number)}, ended({"result": "passed"}), full=100)
        both = path.with_name("runs.jsonl.1").read_text() + path.read_text()
        assert runs.changed_lines(both) == []
        assert path.stat().st_size < 600


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    lock = remote.Lock(str(tmp_path / "lock" / "lock.json"), ME, 20)
    remote.serve(lock, io.BytesIO(ended({"result": "passed"})), lambda event, **details: None, 0.01, False)
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["lock", "lock.json.guard"]
