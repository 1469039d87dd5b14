# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Points in time that an operator names, and the options of pgBackRest for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible.module_utils.greenroom.backups import points, repository
from ansible.module_utils.greenroom.backups.calls import ClusterError

NOW = datetime(2026, 1, 10, tzinfo=UTC)


def at(day: int, hour: int = 0) -> int:
    return int(datetime(2026, 1, day, hour, tzinfo=UTC).timestamp())


INFO: dict[str, Any] = {
    "backup": [
        {"label": "20260104-000000F", "timestamp": {"stop": at(4, 1)}},
        {"label": "20260105-000000F_20260106-000000I", "timestamp": {"stop": at(6, 1)}},
    ]
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20260105T023000Z", datetime(2026, 1, 5, 2, 30, tzinfo=UTC)),
        ("2026-01-05T02:30:00Z", datetime(2026, 1, 5, 2, 30, tzinfo=UTC)),
        ("2026-01-05 02:30:00", datetime(2026, 1, 5, 2, 30, tzinfo=UTC)),
        ("2026-01-05T04:30:00+02:00", datetime(2026, 1, 5, 2, 30, tzinfo=UTC)),
        ("yesterday", None),
    ],
)
def test_a_time_is_read_in_utc_unless_it_says_otherwise(text: str, found: datetime | None) -> None:
    assert points.moment(text) == found


def test_now_needs_no_options() -> None:
    assert points.target("", INFO, NOW) == points.target("latest", INFO, NOW) == []


def test_a_time_lets_pgbackrest_choose_the_backup() -> None:
    assert points.target("20260105T023000Z", INFO, NOW) == [
        "--type=time",
        "--target=2026-01-05 02:30:00.000000+00",
        "--target-action=promote",
    ]


def test_a_restore_point_starts_from_a_backup_before_it() -> None:
    options = points.target("20260105T023000Z-before-1.1", INFO, NOW)
    assert options[:3] == ["--type=name", "--target=20260105T023000Z-before-1.1", "--set=20260104-000000F"]


@pytest.mark.parametrize(
    ("point", "says"),
    [
        ("before-1.1", "is neither a time nor a restore point. Write a time in UTC as 2026-01-02T02:30:00Z"),
        ("2026-02-01T00:00:00Z", "is in the future; it is 2026-01-10T00:00:00Z now"),
        ("2026-01-03T00:00:00Z", "can restore times since 2026-01-04T01:00:00Z"),
    ],
)
def test_a_point_that_can_not_be_reached_is_refused(point: str, says: str) -> None:
    with pytest.raises(ClusterError, match=says.replace(".", r"\.")):
        points.target(point, INFO, NOW)


def test_no_backup_reaches_no_point() -> None:
    with pytest.raises(ClusterError, match="since never"):
        points.target("20260105T023000Z", {"backup": []}, NOW)


def stanza(code: int, **more: Any) -> str:
    return json.dumps([{"name": "x", "status": {"code": code, "message": "other"}, "db": [], "backup": [], **more}])


@pytest.mark.parametrize("text", ["", "[]", stanza(1), stanza(2), stanza(3)])
def test_a_repository_without_the_stanza_or_a_backup_has_none(text: str) -> None:
    assert repository.read_info(text)["backup"] == []


def test_a_repository_that_does_not_answer_says_why() -> None:
    place = {"status": {"code": 99, "message": "unable to connect to 198.18.10.41"}}
    with pytest.raises(ClusterError, match="does not answer: unable to connect to 198"):
        repository.read_info(stanza(99, repo=[place]))


def test_places_that_differ_have_answered() -> None:
    def places(*codes: int) -> list[dict[str, Any]]:
        return [{"status": {"code": code, "message": f"code {code}"}} for code in codes]

    assert repository.read_info(stanza(4, repo=places(2, 1)))["backup"] == []
    with pytest.raises(ClusterError, match="does not answer: code 1; code 99"):
        repository.read_info(stanza(4, repo=places(1, 99)))


def test_one_of_two_places_is_enough() -> None:
    backup = [{"label": "a", "timestamp": {"stop": at(4)}}]
    assert repository.read_info(stanza(99, backup=backup))["backup"] == backup
