# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module canary_traffic, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_traffic
short_description: Count the results of public traffic on an edge host, by slot
version_added: "1.0.0"
description:
  - Reads HAProxy's lines in the journal since a given time, and counts them by the slot that served the request.
  - Doesn't count requests of testers and responses of the edge itself.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.no_diff
options:
  since:
    description: Start of the time range, in seconds since 1970 by this host's clock.
    type: float
    required: true
  until:
    description: End of the time range, in the same format. The default is now.
    type: float
  identifier:
    description: HAProxy's identifier in the journal.
    type: str
    default: haproxy
  limit:
    description: How many lines to read at most. RV(complete) says whether that was enough.
    type: int
    default: 500000
attributes:
  check_mode:
    description: Only reads the journal, in every mode.
    support: full
"""

EXAMPLES = r"""
- name: Count the public requests of the last minute
  canary_traffic:
    since: "{{ now().timestamp() - 60 }}"
  register: traffic
"""

RETURN = r"""
slots:
  description:
    - Figures of each slot, C(blue) and C(green). They have C(requests), C(failed) (status 500 and above, broken
      connections), C(refused) (status 400 to 499), C(routes), and C(latency) as a histogram.
  returned: always
  type: dict
until:
  description: The time up to which lines were read. Use it as O(since) of the next call.
  returned: always
  type: float
lines:
  description: How many lines were read.
  returned: always
  type: int
complete:
  description: Whether all lines in the time range were read.
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
    """Read the journal line by line and return the figures."""
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
    # module.run_command would keep the whole output in memory.
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
        module.fail_json(msg=f"can't read the journal: {command[0]} failed with exit code {journal.returncode}")
    module.exit_json(changed=False, slots=slots, until=until, lines=lines, complete=complete)


if __name__ == "__main__":
    main()
