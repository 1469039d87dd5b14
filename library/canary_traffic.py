# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module canary_traffic, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_traffic
short_description: Count the results of public traffic on an edge host, by slot
version_added: "1.0.0"
description:
  - Reads HAProxy's lines in the journal from a place on, and counts them by the slot that served the request.
  - Doesn't count requests of testers. Of the edge's own responses, it counts only those to paths without a route.
  - Without O(after) and O(last), it only marks the place for the next call.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.haproxy
  - greenroom.no_diff
options:
  routes:
    description: Paths of the catalog's routes. Each has counts of its own, with everything below it.
    type: list
    elements: str
    default: []
  interval:
    description: With O(last), count the lines in parts of so many seconds, as RV(parts).
    type: float
  after:
    description: The RV(mark) of an earlier call on this host. Lines after it are counted.
    type: dict
  last:
    description: Without O(after), count the lines of so many seconds, by this host's clock.
    type: float
  not_before:
    description: With O(last), don't count lines from before this time (UTC, ISO 8601).
    type: str
  settle:
    description:
      - How many seconds to wait, at most, for the requests that have no response yet. HAProxy logs a request when it
        ends, so a request that hangs is in no log before its timeout.
    type: float
    default: 0
  identifier:
    description: HAProxy's identifier in the journal.
    type: str
    default: haproxy
  limit:
    description: How many lines to read at most. RV(gaps) says whether that was enough.
    type: int
    default: 500000
  backends:
    description:
      - Services whose requests are counted apart, as RV(services). {backend without its slot, service}, as returned by
        the filter C(canary_backends).
    type: dict
    default: {}
attributes:
  check_mode:
    description: Only reads, in every mode.
    support: full
"""

EXAMPLES = r"""
- name: Mark the end of the edge log
  canary_traffic:
  register: before

- name: Count the public requests since then
  canary_traffic:
    after: "{{ before.mark }}"
  register: traffic
"""

RETURN = r"""
slots:
  description:
    - Figures of each slot, C(blue) and C(green). They have C(requests), C(failed) (status 500 and above, broken
      connections), C(refused) (status 400 to 499), C(routes), C(latency) as a histogram, and C(visits), which are
      counts and latencies of groups of clients.
    - Without those of the services in O(backends).
  returned: without O(interval)
  type: dict
services:
  description: Figures of both slots for each service in O(backends).
  returned: without O(interval)
  type: dict
parts:
  description: The parts of the time, oldest first, each with its C(seconds), C(slots) and C(services).
  returned: with O(interval)
  type: list
  elements: dict
mark:
  description: The place up to which lines were read. Use it as O(after) of the next call.
  returned: always
  type: dict
lines:
  description: How many lines were read.
  returned: always
  type: int
seconds:
  description: With O(last), the length of the time from which lines were read, in seconds.
  returned: always
  type: float
gaps:
  description: What the figures lack, one text each. Without any, they are complete.
  returned: always
  type: list
  elements: str
  sample: [dropped 900 of 5000 log lines]
waiting:
  description: How many requests of each slot still had no response after O(settle) seconds.
  returned: always
  type: dict
  sample: {green: 2}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.modules import canary_traffic


def main() -> None:
    """Read the journal and return the figures."""
    module = AnsibleModule(canary_traffic.ARGUMENTS, supports_check_mode=True, **canary_traffic.RULES)
    result = canary_traffic.carry_out(module.params)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
