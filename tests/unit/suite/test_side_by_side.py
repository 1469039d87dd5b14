# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Two commands at once: one's output as a block, the other's as it comes; both exit codes; one interrupt for both."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "side_by_side.py"


def start(first: str, second: str) -> subprocess.Popen[str]:
    """Start two Python programs, and wait for nothing."""
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), sys.executable, "-uc", first, "--", sys.executable, "-uc", second],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(first: str, second: str) -> tuple[int, str]:
    """Run both to their end; return the exit code and the output."""
    process = start(first, second)
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


@pytest.mark.parametrize(("first", "second", "code"), [(0, 0, 0), (3, 0, 3), (0, 4, 4), (3, 4, 4)])
def test_either_ones_failure_counts(first: int, second: int, code: int) -> None:
    assert run(f"raise SystemExit({first})", f"raise SystemExit({second})")[0] == code


def test_the_first_ones_output_is_one_block_that_begins_a_line(tmp_path: Path) -> None:
    shown, done = tmp_path / "shown", tmp_path / "done"
    wait = "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.01)\n"
    first = wait.format(str(shown)) + "print('a'); print('=== 2 passed in 1s ===')"
    second = "print('begun', end='')\n" + wait.format(str(done))
    second += "print(' and goes on'); print('=== 3 passed in 2s ===')"
    process = start(first, second)
    assert process.stdout is not None
    assert process.stdout.read(len("begun")) == "begun"
    shown.touch()
    lines: list[str] = []
    while not lines or lines[-1] != "---":
        lines.append(process.stdout.readline().rstrip("\n"))
    assert lines[0] == ""
    assert lines[1].startswith("--- the first command has ended, after ")
    assert lines[2:] == ["a", "=== 2 passed in 1s ===", "---"]
    done.touch()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert output.splitlines() == [" and goes on", "=== 3 passed in 2s ==="]


def test_an_end_ends_both_as_an_interrupt(tmp_path: Path) -> None:
    program = """
import pathlib, signal, time
def told(*_):
    pathlib.Path({0!r}).write_text("told")
    raise SystemExit(0)
signal.signal(signal.SIGINT, told)
pathlib.Path({0!r}).write_text("ready")
time.sleep(600)
"""
    notes = [tmp_path / "first", tmp_path / "second"]
    process = start(*(program.format(str(note)) for note in notes))
    end = time.monotonic() + 120
    while not all(note.exists() and note.read_text() == "ready" for note in notes):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert [note.read_text() for note in notes] == ["told", "told"]


def test_one_command_alone_is_no_pair() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), "true"], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "COMMAND ... -- COMMAND" in done.stderr
