# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The list of kills: the changes, and the moments in each."""

from __future__ import annotations

from typing import Any

DEADLINE = 60

Call = dict[str, Any]
"""The options of one call of bluegreen_switch."""

PREPARE: Call = {"state": "prepared", "live": "blue", "weight": 5, "operation": "x", "deadline": DEADLINE}
COMMIT: Call = {"operation": "x", "deadline": DEADLINE}
MORE: Call = {**COMMIT, "live": "blue", "weight": 50}
GREEN: Call = {**COMMIT, "live": "green"}
BAKED: Call = {**GREEN, "bake": {"limits": {}}}
DRAIN: Call = {"state": "draining", "deadline": DEADLINE}
FINISH: Call = {"state": "finished"}
ABORT: Call = {"state": "aborted"}
REPLACING: Call = {"state": "replacing"}
BACK: Call = {"state": "back"}
"""Not a call of the module, but of greenroom-edge."""
LATE: Call = {"state": "late"}
"""The watchdog's check after the deadline, because the operator is gone."""
GOOD: Call = {"state": "good"}
BAD: Call = {"state": "bad"}
"""The same, with the watchdog's verdict on the bake."""

CHANGES: dict[str, tuple[Call, ...]] = {
    "immediate switch": ({"live": "green"},),
    "prepare": (PREPARE,),
    "commit a canary": (PREPARE, COMMIT),
    "a larger canary": (PREPARE, COMMIT, MORE),
    "commit live": (PREPARE, COMMIT, GREEN),
    "drain": (GREEN, DRAIN),
    "finish": (GREEN, DRAIN, FINISH),
    "abort a prepared switch": (PREPARE, ABORT),
    "abort a canary": (PREPARE, COMMIT, ABORT),
    "roll back": (GREEN, ABORT),
    "roll back while draining": (GREEN, DRAIN, ABORT),
    "give up the previous slot": ({"live": "green"}, REPLACING),
    "go back by hand": ({"live": "green"}, BACK),
    "go back by hand during a canary": (PREPARE, COMMIT, BACK),
    "go back by hand during a bake": (GREEN, BACK),
    "end a canary without an operator": (PREPARE, COMMIT, LATE),
    "end a bake without an operator": (GREEN, LATE),
    "end a good bake without an operator": (BAKED, GOOD),
    "end a bad bake without an operator": (BAKED, BAD),
    "end a bad bake after a canary without an operator": (PREPARE, COMMIT, BAKED, BAD),
}
"""Each change: the calls before it, and its own call."""

MOMENTS = (
    "before the state file is replaced",
    "after the state file is replaced",
    "before the map file is replaced",
    "after the map file is replaced",
    "before worker 1 is told",
    "after worker 1 is told",
    "before worker 2 is told",
    "after worker 2 is told",
    "at the end",
)
