# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""How long certificates last, as the hosts that use them say it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def certificate_lines(hostvars: Mapping[str, Mapping[str, Any]], task: str) -> dict[str, str]:
    """Return {"<host>, <name>": how long it lasts} from the results of `greenroom-certificates show`.

    They are registered as `task`. Hosts that did not answer, or have no such program yet, are left out.
    """
    found: dict[str, str] = {}
    for host in hostvars:
        answer = hostvars[host].get(task) or {}
        if answer.get("rc") == 0:
            found |= {f"{host}, {name}": line for name, line in json.loads(answer["stdout"]).items()}
    return found
