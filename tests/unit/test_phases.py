"""The durations that a run reports."""

from __future__ import annotations

from plugins.filter.phases import phase_seconds


def test_a_phase_lasts_until_the_next_begins() -> None:
    phases = [{"phase": "open", "began": 10.0}, {"phase": "data", "began": 12.5}, {"phase": "seed", "began": 13.0}]
    assert phase_seconds(phases, 20.0) == {"open": 2.5, "data": 0.5, "seed": 7.0}


def test_a_phase_that_comes_twice_is_added_up() -> None:
    phases = [{"phase": "smoke", "began": 0.0}, {"phase": "cutover", "began": 1.0}, {"phase": "smoke", "began": 3.0}]
    assert phase_seconds(phases, 7.0) == {"smoke": 5.0, "cutover": 2.0}


def test_no_phase_takes_no_time() -> None:
    assert phase_seconds([], 1.0) == {}
