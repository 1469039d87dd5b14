# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A cutover that waits for an operator: what the edge hosts say, and what the status shows."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.slots import status
from ansible.module_utils.greenroom.controller.slots.pause import pause

PAUSE = {
    "operation": "run-1",
    "slot": "green",
    "weight": 5,
    "until": "2026-01-31T13:00:00Z",
    "host": "ops1",
    "file": "/p",
}


def slurped(content: Any) -> dict[str, Any]:
    text = content if isinstance(content, str) else json.dumps(content)
    return {"content": base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("first", "second", "operation", "found"),
    [
        ({"failed": True, "msg": "file not found"}, slurped(PAUSE), "run-1", PAUSE),
        ({"unreachable": True}, slurped(PAUSE), "run-1", PAUSE),
        (slurped("half a li"), slurped(PAUSE), "run-1", PAUSE),
        # Left by a run that died.
        (slurped({**PAUSE, "operation": "run-0"}), {}, "run-1", {}),
        (slurped(PAUSE), slurped(PAUSE), None, {}),
        ({"skipped": True}, {}, "run-1", {}),
    ],
)
def test_the_pause_of_the_operation_is_found(first: Any, second: Any, operation: str | None, found: Any) -> None:
    hostvars = {"edge1": {"waits": first}, "edge2": {"waits": second}, "edge3": {}}
    assert pause(hostvars, "waits", ["edge1", "edge2", "edge3"], operation) == found


def test_the_status_says_what_a_cutover_waits_for() -> None:
    edges = {
        **{"live": "blue", "epoch": 7, "changed_at": "2026-01-31T12:00:00Z", "weight": 5, "candidate": "green"},
        **{"operation": "run-1", "phase": "canary", "deadline": "2026-01-31T13:04:00Z", "answers": {}, "down": []},
        "connections": {"blue": 0, "green": 0},
    }
    said = status.summary(edges, {}, {}, {}, {}, pause=PAUSE)["operation"]
    assert said == (
        "run-1: canary, green gets 5 %, until 2026-01-31T13:04:00Z; it waits for an operator until "
        "2026-01-31T13:00:00Z: playbooks/promote.yml gives green more traffic, playbooks/abort.yml ends it"
    )
