# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The canary's bench goes on where it was, and says which releases were judged wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.canary import page, results, run
from bench.canary.plan import COLUMNS, Job, Result
from bench.canary.results import Results
from bench.canary.simulate import Outcome

JOBS = [Job("WrongVersion", 0, number) for number in range(3)]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "CACHE", tmp_path)


def result(job: Job, verdict: str) -> Result:
    return Result(job, Outcome(verdict, 5, 60.0, f"{verdict}: …", 9), 1.5)


def test_an_interrupted_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    found = Results()
    found.add(result(JOBS[0], "pass"))
    with found.path.open("a") as file:
        file.write('\n{"job": {"kind": "Wro')
    run.run(JOBS, Results(), 1)
    said = capsys.readouterr().out
    assert "3 rollouts, 1 of them done earlier" in said
    assert f"miss: WrongVersion, 0.1/s, a minute, number 0, seed {JOBS[0].seed}: pass: …" in said
    again = Results()
    assert [again[job].outcome.verdict for job in JOBS] == ["pass", "fail", "fail"]
    empty = [""] * (len(COLUMNS) - 1)
    assert page.row("WrongVersion", JOBS, again) == ["wrong version", "2 of 3", *empty, ""]


def test_other_code_has_other_results(monkeypatch: pytest.MonkeyPatch) -> None:
    Results().add(result(JOBS[0], "fail"))
    monkeypatch.setattr(results, "state", lambda: "other")
    assert JOBS[0] not in Results()


@pytest.mark.parametrize(
    ("kind", "verdict", "wrong"),
    [("Good", "fail", True), ("Good", "no data", True), ("Good", "pass", False), ("Late", "no data", False)],
)
def test_no_data_stops_a_release(kind: str, verdict: str, wrong: bool) -> None:
    assert result(Job(kind, 2, 0), verdict).wrong is wrong
