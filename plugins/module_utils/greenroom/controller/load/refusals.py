# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The reasons why a load test can't run, found before it starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def refusals(settings: Mapping[str, Any]) -> list[str]:
    """Return the reasons to refuse a load test, one line each.

    `settings` is {seeding_allowed: whether there may be synthetic users, image: the load tool's or "", users,
    users_limit, people: how many synthetic users take part, seconds, seconds_limit, ramp_seconds}.
    """
    return list(_refusals(settings))


def _refusals(settings: Mapping[str, Any]) -> Iterator[str]:
    users, users_limit = settings["users"], settings["users_limit"]
    seconds, seconds_limit = settings["seconds"], settings["seconds_limit"]
    if not settings["seeding_allowed"]:
        yield "there are no synthetic users here (environment_seeding_allowed is false)"
    if not settings["image"]:
        yield "the release has no image named visitors"
    if not 1 <= users <= users_limit:
        yield f"load_users must be from 1 to {users_limit}"
    elif users > settings["people"]:
        people = settings["people"]
        yield f"load_users must be at most load_people ({people}): no two concurrent users are the same synthetic user"
    if not 1 <= seconds <= seconds_limit:
        yield f"load_seconds must be from 1 to {seconds_limit} s"
    if not 0 <= settings["ramp_seconds"] <= seconds:
        yield "load_ramp_seconds must be from 0 to load_seconds"
