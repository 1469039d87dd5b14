# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What each area of the tests takes, from pytest's own reports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "minutes.py"
REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="tests.real.test_slots" name="test_a" time="50.5"/>
<testcase classname="tests.real.test_slots" name="test_b" time="9.5"/>
<testcase classname="tests.unit.test_lock" name="test_c" time="1"/>
<testcase classname="tests.unit.test_tree.TestTree" name="test_d" time="120"/>
</testsuite></testsuites>
"""


def write(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a copy of the program in a checkout of its own."""
    shutil.copy(PROGRAM, folder / "tests")
    command = [sys.executable, str(folder / "tests/minutes.py")]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_the_longest_area_comes_first_and_the_page_around_it_stays(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    page = tmp_path / "tests/README.md"
    page.write_text("before\n<!-- minutes: begin -->\nold\n<!-- minutes: end -->\nafter\n")
    assert "make test" in write(tmp_path).stderr
    (tmp_path / "reports/tests").mkdir(parents=True)
    (tmp_path / "reports/tests/hosts.xml").write_text(REPORT)
    for _ in range(2):
        assert write(tmp_path).returncode == 0
        assert page.read_text().splitlines() == [
            "before",
            "<!-- minutes: begin -->",
            "| area | tests | seconds | minutes |",
            "| --- | --- | --- | --- |",
            "| unit/ | 2 | 121 | 2.0 |",
            "| real/test_slots.py | 2 | 60 | 1.0 |",
            "<!-- minutes: end -->",
            "after",
        ]
