# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether a host answers, and how long a run waits for one that doesn't."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from plugins.module_utils.greenroom.controller.hosts import reach


@pytest.mark.parametrize(
    ("answered", "asked", "seconds"),
    [
        ([], 1, 3.0),
        ([], 5, 3.0),
        # Too few to know how fast hosts are.
        ([0.1, 0.1], 5, 3.0),
        ([0.1, 0.1, 0.1], 5, 1.5),
        ([0.1, 0.4, 0.5], 5, 2.0),
        # Everything is slow.
        ([0.9, 1.1, 1.5], 5, 3.0),
    ],
)
def test_a_run_waits_less_for_a_silent_host_if_the_others_are_fast(
    answered: list[float], asked: int, seconds: float
) -> None:
    assert reach.limit(answered, asked, 3.0) == pytest.approx(seconds)


def test_a_host_that_answers_is_not_silent_and_says_how_fast_it_was(tmp_path: Path) -> None:
    assert reach.silence(["true"], "app1", tmp_path / "reach", 2, 30.0) == ""
    assert float((tmp_path / "reach" / "app1.seconds").read_text()) < 30


def test_a_host_whose_connection_fails_is_silent_at_once(tmp_path: Path) -> None:
    program = "import sys; sys.stderr.write('Warning: x\\nNo route to host\\n'); sys.exit(255)"
    assert reach.silence([sys.executable, "-c", program], "app1", tmp_path, 2, 30.0) == "No route to host"
    assert reach.silence(["false"], "app1", tmp_path, 2, 30.0) == "exit code 1"
    assert not list(tmp_path.glob("*.seconds"))


def test_a_host_that_hangs_is_silent_after_the_limit(tmp_path: Path) -> None:
    assert reach.silence(["sleep", "60"], "app1", tmp_path, 3, 0.3).startswith("no answer within ")
    # The others were fast, so there is no need to wait 600 s.
    for host in ("app2", "edge1"):
        (tmp_path / f"{host}.seconds").write_text("0.010")
    assert reach.silence(["sleep", "60"], "app1", tmp_path, 3, 600.0).startswith("no answer within ")


def test_a_connection_that_stays_open_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    assert reach.silence(["sh", "-c", "sleep 60 & exit 0"], "app1", tmp_path, 1, 30.0) == ""
