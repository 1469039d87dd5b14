# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The page about killed runs: parts add up, in any order, when all are there."""

from __future__ import annotations

from pathlib import Path

from bench.killed.outcomes import Part, Row, keep, write


def part(seed: int, *numbers: int) -> Part:
    return Part(seed, 90, [Row(number, "Set up data", f"Task {number}", "made good") for number in numbers])


def test_parts_add_up_when_all_are_there(tmp_path: Path) -> None:
    kept, page = tmp_path / "kept", tmp_path / "README.md"
    assert keep(part(3, 3, 6), 3, 3, kept) == []
    assert keep(part(9, 99), 1, 3, kept) == []
    # Done again: the new one counts.
    assert keep(part(1, 1, 4), 1, 3, kept) == []
    parts = keep(part(2, 2, 5), 2, 3, kept)
    assert parts == [part(1, 1, 4), part(2, 2, 5), part(3, 3, 6)]
    write(parts, page)
    text = page.read_text()
    assert "A release change (90 tasks)" in text
    assert "6 runs were killed, at tasks chosen by the seed 1, 2, 3." in text
    rows = [line.split(" | ")[0] for line in text.splitlines() if "made good" in line]
    assert rows == [f"| {number}" for number in range(1, 7)]


def test_one_part_is_all(tmp_path: Path) -> None:
    assert keep(part(1, 1), 1, 1, tmp_path) == [part(1, 1)]
