# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The steps of a canary, as operators and services write them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import weights


@pytest.mark.parametrize(
    ("given", "steps"), [("5,25,50", [5, 25, 50]), ("5", [5]), (10, [10]), ([5, 50], [5, 50]), ([], []), ("", [])]
)
def test_weights_are_read_as_operators_write_them(given: Any, steps: list[int]) -> None:
    assert weights.weights(given) == steps
    assert weights.pauses(given) == []


@pytest.mark.parametrize(
    ("given", "steps", "paused"),
    [
        ("5,pause,50", [5, 50], [5]),
        ("5, pause, 50, pause", [5, 50], [5, 50]),
        ([1, 5, "pause"], [1, 5], [5]),
    ],
)
def test_a_pause_belongs_to_the_weight_before_it(given: Any, steps: list[int], paused: list[int]) -> None:
    assert (weights.weights(given), weights.pauses(given)) == (steps, paused)


@pytest.mark.parametrize(
    "given",
    [
        "0",
        "100",
        "5,x",
        "²",
        "-5",
        "50,25",
        "5,5",
        "5%",
        "pause",
        "pause,5",
        "5,pause,pause",
        "5,wait",
        "5,,6",
        "5,",
        ",",
    ],
)
def test_steps_that_make_no_sense_are_refused(given: str) -> None:
    for read in (weights.weights, weights.pauses):
        with pytest.raises(ValueError, match=f"canary={given}"):
            read(given)
