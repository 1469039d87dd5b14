# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Points in time that an operator names, and what they mean to pgBackRest."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .calls import ClusterError

NAMED_POINT = re.compile(r"(\d{8}T\d{6}Z)-\S+")
FORMATS = ("%Y%m%dT%H%M%SZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S")


def moment(text: str) -> datetime | None:
    """Return the time that a point names; None for the name of a restore point or another text."""
    for form in FORMATS:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC)
    with contextlib.suppress(ValueError):
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def target(point: str, info: Mapping[str, Any], now: datetime) -> list[str]:
    """Return pgBackRest's options that restore to `point`: "" or `latest`, a time, or a restore point's name."""
    if point in ("", "latest"):
        return []
    named = NAMED_POINT.fullmatch(point)
    at = moment(named[1] if named else point)
    if at is None:
        raise ClusterError(
            f"{point!r} is neither a time nor a restore point. Write a time in UTC as 2026-01-02T02:30:00Z, or a "
            "restore point as a run's summary names it"
        )
    if at > now:
        raise ClusterError(f"{point} is in the future; it is {now:%Y-%m-%dT%H:%M:%SZ} now")
    stops = sorted(backup["timestamp"]["stop"] for backup in info["backup"])
    if not stops or at.timestamp() < stops[0]:
        since = f"{datetime.fromtimestamp(stops[0], UTC):%Y-%m-%dT%H:%M:%SZ}" if stops else "never"
        raise ClusterError(f"no backup is older than {point}; the repository can restore times since {since}")
    if not named:
        return ["--type=time", f"--target={at:%Y-%m-%d %H:%M:%S.%f+00}", "--target-action=promote"]
    # pgBackRest takes the latest backup for a name, but one that ended after the restore point does not lead there.
    backup = max(
        (backup for backup in info["backup"] if backup["timestamp"]["stop"] <= at.timestamp()),
        key=lambda each: each["timestamp"]["stop"],
    )
    return ["--type=name", f"--target={point}", f"--set={backup['label']}", "--target-action=promote"]
