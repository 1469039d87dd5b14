# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the proof of jobs finds wrong with ticks."""

from __future__ import annotations

import pytest

from bench.services.ticks import counted, problems

RIGHT = """\
20.4 begin quick blue
21.4 end quick blue
30.0 hook before_cutover green
41.0 begin quick blue
60.9 end quick blue
61.0 begin quick green
"""


def test_ticks_across_a_cutover_are_right() -> None:
    assert list(problems(RIGHT, {"quick": 20})) == []
    assert counted(RIGHT, "hook") == 1


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("62.0 begin quick blue\n", "began in blue at 62.0, while one ran in green"),
        ("62.0 end quick green\n63.0 begin quick green\n", "twice at one tick"),
        ("62.0 end quick green\n101.0 begin quick green\n", "1 ticks lost before 101.0"),
        ("62.0 end quick blue\n", "ended in blue at 62.0, where it didn't begin"),
    ],
)
def test_a_tick_that_is_lost_or_repeated_or_cut_off_is_named(more: str, says: str) -> None:
    assert any(says in line for line in problems(RIGHT + more, {"quick": 20}))
