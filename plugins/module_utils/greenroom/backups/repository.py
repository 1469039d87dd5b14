# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the backup repository has."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .calls import ClusterError, call

STATUS_OK, STATUS_MISSING, STATUS_EMPTY, STATUS_MISSING_DATA, STATUS_MIXED = 0, 1, 2, 3, 4


def repository(stanza: str, seconds: float = 0.0) -> dict[str, Any]:
    """Return what the repository has of the stanza, {backup, db}; wait that many `seconds` for its host."""
    end = time.monotonic() + seconds
    while True:
        try:
            return read_info(call("pgbackrest", f"--stanza={stanza}", "--output=json", "info"))
        except ClusterError:
            if time.monotonic() > end:
                raise
            time.sleep(3)


def read_info(text: str) -> dict[str, Any]:
    """Return {backup, db} from the output of `pgbackrest info`; raise ClusterError if it doesn't know."""
    found: list[dict[str, Any]] = json.loads(text or "[]")
    if not found:
        return {"backup": [], "db": []}
    status = found[0]["status"]
    known = (STATUS_OK, STATUS_MISSING, STATUS_EMPTY, STATUS_MISSING_DATA)
    places = [each["status"]["code"] for each in found[0].get("repo", [])]
    # A second place that is new has less than the first one, which pgBackRest calls a status of its own.
    differ = status["code"] == STATUS_MIXED and places and all(code in known for code in places)
    if status["code"] not in known and not differ:
        # With two places, one may answer.
        if found[0].get("backup"):
            return dict(found[0])
        said = "; ".join(
            str(each["status"]["message"]) for each in found[0].get("repo", []) if each["status"]["code"]
        ) or str(status["message"])
        raise ClusterError(f"the backup repository does not answer: {said}")
    return {"backup": found[0].get("backup", []), "db": found[0].get("db", [])}


def last_backup(info: Mapping[str, Any]) -> str:
    """Return when the latest backup ended."""
    stop = max(backup["timestamp"]["stop"] for backup in info["backup"])
    return f"{datetime.fromtimestamp(stop, UTC):%Y-%m-%dT%H:%M:%SZ}"
