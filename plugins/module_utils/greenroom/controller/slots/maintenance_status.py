# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is in maintenance, as the edge hosts say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...switch.maintenance import EVERYTHING


def maintenance_lines(
    hostvars: Mapping[str, Mapping[str, Any]], task: str, hosts: Sequence[str], always: bool = False
) -> dict[str, str]:
    """Return {edge host: what is in maintenance} from the results of `edge_maintenance`, registered as `task`.

    Without `always`, {} if nothing is. Hosts that did not answer are left out.
    """
    answers = {host: hostvars[host].get(task) or {} for host in hosts}
    found = {
        host: ", ".join("everything" if name == EVERYTHING else name for name in answer["maintenance"]) or "nothing"
        for host, answer in answers.items()
        if "maintenance" in answer
    }
    return found if always or {"nothing"} != {*found.values(), "nothing"} else {}
