# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The pause of a cutover that waits for an operator, as the edge hosts say it."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def pause(
    hostvars: Mapping[str, Mapping[str, Any]], task: str, hosts: Sequence[str], operation: str | None
) -> dict[str, Any]:
    """Return the pause of an operation, or {} if it doesn't wait.

    {operation, slot, weight, until, host, file}: an operator promotes the candidate with an empty file on `host`.
    `task` is the result of `slurp` on each of the edge hosts. What a run left that died belongs to another operation.
    """
    for host in hosts:
        content = (hostvars[host].get(task) or {}).get("content")
        with contextlib.suppress(ValueError):
            found = json.loads(base64.b64decode(content)) if content else {}
            if found.get("operation") == operation:
                return dict(found)
    return {}
