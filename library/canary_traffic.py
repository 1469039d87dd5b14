# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module canary_traffic; its documentation is data below."""

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_traffic
short_description: What became of the public's requests at this edge, by slot
version_added: "1.0.0"
description:
  - Reads the lines that the load balancer wrote to the journal since a time, and counts them by the slot that served.
  - Requests of testers, and answers of the edge itself, are left out.
author: Greenroom developers (!UNKNOWN)
options:
  since:
    description: From when on, in seconds since 1970, by this host's clock.
    type: float
    required: true
  until:
    description: Until when, in the same way. Without it, until now.
    type: float
  identifier:
    description: The load balancer's name in the journal.
    type: str
    default: haproxy
  limit:
    description: How many lines are read at most; RV(complete) says whether that was enough.
    type: int
    default: 500000
attributes:
  check_mode:
    description: The journal is read, and nothing is changed in any mode.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
"""

EXAMPLES = r"""
- name: See what became of the public's requests of the last minute
  canary_traffic:
    since: "{{ now().timestamp() - 60 }}"
  register: traffic
"""

RETURN = r"""
slots:
  description:
    - Figures of each slot, C(blue) and C(green). C(requests), C(failed) (status 500 and above, broken connections),
      C(refused) (400 to 499), C(routes), and C(latency) as a histogram.
  returned: always
  type: dict
until:
  description: Until when lines were read; the C(since) of a next call.
  returned: always
  type: float
lines:
  description: How many lines were looked at.
  returned: always
  type: int
complete:
  description: Whether these were all.
  returned: always
  type: bool
"""

import subprocess
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.canary import figures

SECONDS = 60
ARGUMENTS: dict[str, Any] = {
    "since": {"type": "float", "required": True},
    "until": {"type": "float"},
    "identifier": {"type": "str", "default": "haproxy"},
    "limit": {"type": "int", "default": 500000},
}


def main() -> None:
    """Read the journal, line by line, and report."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    until = time.time() if given["until"] is None else given["until"]
    command = [
        module.get_bin_path("journalctl", required=True),
        *("--quiet", "--no-pager", "--output=cat", f"--identifier={given['identifier']}"),
        *(f"--since=@{given['since']:.3f}", f"--until=@{until:.3f}"),
    ]
    slots = {slot: figures.empty() for slot in ("blue", "green")}
    lines, complete, give_up = 0, True, time.monotonic() + SECONDS
    # The module's own way to run commands keeps all that they say in memory.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
    ) as journal:
        for line in journal.stdout or ():
            if lines >= given["limit"] or time.monotonic() > give_up:
                complete = False
                journal.kill()
                break
            lines += 1
            figures.take(line, slots)
    if complete and journal.returncode:
        module.fail_json(msg=f"the journal can't be read: {command[0]} ended with {journal.returncode}")
    module.exit_json(changed=False, slots=slots, until=until, lines=lines, complete=complete)


if __name__ == "__main__":
    main()
