# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Scheduled jobs, hooks and consoles in service.yml: what a time means, and what is refused before a run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.catalogue.calendar_words import calendars
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.job_schema import job_problems
from ansible.module_utils.greenroom.controller.catalogue.service_schema import structure_errors

GOOD = {"command": ["tidy"], "at": "0 2 * * *"}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("0 2 * * *", ["*-*-* 02:00:00"]),
        ("*/20 8-10 * * mon-fri", ["Mon,Tue,Wed,Thu,Fri *-*-* 08,09,10:00,20,40:00"]),
        ("5 4 1,15 jan,jul *", ["*-01,07-01,15 04:05:00"]),
        # Cron runs on each of both kinds of days.
        ("0 0 13 * 5", ["*-*-13 00:00:00", "Fri *-*-* 00:00:00"]),
        ("0 6 * * 7", ["Sun *-*-* 06:00:00"]),
        ("0 6 * * 0-7", ["*-*-* 06:00:00"]),
        ("10/25 * * * *", ["*-*-* *:10,35:00"]),
        ("@daily", ["*-*-* 00:00:00"]),
        ("@weekly", ["Sun *-*-* 00:00:00"]),
        ("*-*-* 02:00", ["*-*-* 02:00"]),
        ("  Mon..Fri   07:30 Europe/Berlin ", ["Mon..Fri 07:30 Europe/Berlin"]),
        ("Sat,Sun 2027-*-1..7/2 *:0/15:30 UTC", ["Sat,Sun 2027-*-1..7/2 *:0/15:30 UTC"]),
        ("*-02~01", ["*-02~01"]),
        ("hourly", ["hourly"]),
        ("Mon", ["Mon"]),
    ],
)
def test_a_time_is_a_calendar_expression_or_the_words_of_cron(at: str, expected: list[str]) -> None:
    assert calendars(at) == expected


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("60 2 * * *", "cron's minute can't be 60"),
        ("0 2 * * fun", "cron's day of the week can't be fun"),
        ("0 2 30 2 *", "none of the named months has a day 30"),
        ("0 5-2 * * *", "cron's hour can't be 5-2"),
        ("*/0 * * * *", "cron's minute can't be */0"),
        ("@reboot", "unknown word @reboot"),
        ("*-*-* 24:00", "the hour can't be 24"),
        ("*-13-* 02:00", "the month can't be 13"),
        ("*-*-5..3 02:00", "the day can't be 5..3"),
        ("*-*-* *:0/0", "the minute can't be 0/0"),
        ("02:00 Europe/Berlun", "Europe/Berlun is not understood"),
        ("every night", "every is not understood"),
        ("0 2 * *", "0 is not understood"),
        ("UTC", "UTC is not understood"),
        ("*-*-* 02:00\nPersistent=true", "not understood"),
    ],
)
def test_a_wrong_time_is_refused_with_the_reason(at: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".*") as refused:
        calendars(at)
    assert reason in str(refused.value)


def service(**keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = normalise("shop", {"image": "shop", **keys}, "/services/shop")
    return found


def test_a_job_has_defaults() -> None:
    assert service(schedule={"nightly": GOOD})["schedule"] == {
        "nightly": {**GOOD, "calendar": ["*-*-* 02:00:00"], "timeout": "1h", "persistent": False}
    }


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"schedule": {"nightly": {"at": "hourly"}}}, "schedule.nightly.command: missing"),
        ({"schedule": {"nightly": {**GOOD, "timeout": "1 day"}}}, '"1 day" is not a time'),
        ({"schedule": {"Nightly": GOOD}}, "Nightly"),
        ({"schedule": {"nightly": {**GOOD, "persistant": True}}}, 'did you mean "persistent"?'),
        ({"hooks": {"before_cutovr": ["x"]}}, 'did you mean "before_cutover"?'),
        ({"console": "sh"}, "console: expected a list"),
    ],
)
def test_other_keys_and_values_are_refused(keys: dict[str, Any], problem: str) -> None:
    lines = structure_errors({"image": "shop", **keys})
    assert any(problem in line for line in lines), lines


def test_rules_that_a_schema_cannot_say() -> None:
    jobs = {"nightly": {**GOOD, "at": "never"}, "empty": {**GOOD, "command": []}}
    wrong = list(job_problems(service(schedule=jobs, hooks={"after_deploy": []})))
    assert [line.split(":")[0] for line in wrong] == [
        "schedule.nightly.at",
        "schedule.empty.command",
        "hooks.after_deploy",
    ]
    assert not list(job_problems(service(schedule={"nightly": GOOD}, hooks={"after_deploy": ["warm"]})))
