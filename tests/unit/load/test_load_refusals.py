# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""When a load test is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.load.refusals import refusals

FINE = {
    "seeding_allowed": True,
    "image": "registry.invalid/visitors@sha256:0",
    "users": 10,
    "users_limit": 200,
    "people": 200,
    "seconds": 60,
    "seconds_limit": 600,
    "ramp_seconds": 10,
}


@pytest.mark.parametrize(
    "change", [{}, {"users": 1}, {"users": 200}, {"users": 10, "people": 10}, {"seconds": 600}, {"ramp_seconds": 0}]
)
def test_a_load_test_within_its_limits_may_run(change: dict[str, Any]) -> None:
    assert refusals(FINE | change) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seeding_allowed": False}, "there are no synthetic users here (environment_seeding_allowed is false)"),
        ({"image": ""}, "the release has no image named visitors"),
        ({"users": 0}, "load_users must be from 1 to 200"),
        ({"users": 201}, "load_users must be from 1 to 200"),
        (
            {"users": 101, "people": 100},
            "load_users must be at most load_people (100): no two concurrent users are the same synthetic user",
        ),
        ({"seconds": 601}, "load_seconds must be from 1 to 600 s"),
        ({"ramp_seconds": 61}, "load_ramp_seconds must be from 0 to load_seconds"),
        ({"ramp_seconds": -1}, "load_ramp_seconds must be from 0 to load_seconds"),
    ],
)
def test_a_reason_names_the_setting(change: dict[str, Any], reason: str) -> None:
    assert refusals(FINE | change) == [reason]


def test_all_reasons_are_reported_together() -> None:
    assert len(refusals(FINE | {"image": "", "users": 0, "seconds": 0, "ramp_seconds": 5})) == 4
