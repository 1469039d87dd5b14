# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module canary_probe, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_probe
short_description: Send probes to both slots and count the responses
version_added: "1.0.0"
description:
  - Sends requests through the edge to both slots in turn, at a fixed rate, each with the header C(X-Greenroom-Slot),
    and counts the responses. This host must be a tester, so that it may choose the slot.
  - Responses from another slot or from the edge itself aren't counted, but reported in RV(notes).
  - Reads the metrics pages of both slots before and after.
  - Ends early if the candidate is clearly broken.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.no_diff
  - greenroom.request
options:
  url:
    description: The environment's public URL.
    type: str
    required: true
  live:
    description: The baseline slot.
    type: str
    choices: [blue, green]
    required: true
  candidate:
    description: The slot to compare with the baseline.
    type: str
    choices: [blue, green]
    required: true
  paths:
    description:
      - Paths to request, or https URLs of other host names of the environment. Without any, the module only reads the
        metrics pages.
    type: list
    elements: str
    default: []
  rate:
    description: Requests per second, to both slots together.
    type: float
    default: 10
  seconds:
    description: How long to send requests.
    type: float
    required: true
  timeout:
    default: 5
  ca_file:
    description: File with CA certificates to trust instead of the system's.
    type: path
  resolve:
    description: Addresses of names, used instead of a name server. C(*.) stands for the names one label below.
    type: dict
    default: {}
  username:
    description: User name for basic authentication at the edge.
    type: str
    default: ""
  password:
    description: Password for basic authentication at the edge.
    type: str
    default: ""
  operation:
    description:
      - The operation that the probes belong to. This host asks the edge hosts every second, and probing ends as soon as
        they have a higher epoch, because an operator has moved traffic for example.
    type: dict
    suboptions:
      site:
        description: The environment's name.
        type: str
        required: true
      epoch:
        description: The epoch of the operation's last switch.
        type: int
        required: true
      addresses:
        description: Addresses of the edge hosts.
        type: list
        elements: str
        required: true
      port:
        description: The port at which they say which slot is live.
        type: int
        required: true
      name:
        description: The name in their certificate.
        type: str
        required: true
      ca_file:
        description: File with the CA of their certificate.
        type: path
        required: true
  until:
    description: Files on this host. As soon as one of them exists, probing ends.
    type: list
    elements: path
    default: []
  targets:
    description: Metrics pages, as returned by the filter C(canary_targets).
    type: list
    elements: dict
    default: []
  services:
    description: >-
      Services whose probes are counted apart, as RV(services). {path, service}, as returned by the filter
      C(canary_probed).
    type: dict
    default: {}
  prometheus:
    description: Prometheus' address.
    type: str
    default: ""
  queries:
    description: Queries to Prometheus about the candidate, as returned by the filter C(canary_queries).
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    description: Sends no requests and returns empty figures.
    support: full
"""

EXAMPLES = r"""
- name: Probe both slots for 15 seconds
  canary_probe:
    url: https://portal.staging.greenroom.test
    live: blue
    candidate: green
    paths: [/, /readyz]
    seconds: 15
    ca_file: /etc/greenroom/ca.crt
  register: probed
"""

RETURN = r"""
probes:
  description: Figures of the probes to C(live) and to C(candidate).
  returned: always
  type: dict
services:
  description: Figures of the probes to both slots for each service in O(services).
  returned: always
  type: dict
watched:
  description:
    - Changes on the metrics pages of each process, one list for C(live) and one for C(candidate), which also has the
      results of O(queries).
  returned: always
  type: dict
notes:
  description: Reasons why probes were not counted.
  returned: always
  type: list
  elements: str
  sample: [3 probes got status 401 from the edge itself, not from the slot they asked for]
stopped_early:
  description: Whether probing ended early because the candidate is clearly broken.
  returned: always
  type: bool
ended:
  description: Whether one of the files O(until) exists.
  returned: always
  type: bool
seconds:
  description: Duration in seconds.
  returned: always
  type: float
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.modules import canary_probe


def main() -> None:
    """Send probes and return the figures."""
    module = AnsibleModule(argument_spec=canary_probe.ARGUMENTS, supports_check_mode=True)
    result = canary_probe.carry_out(module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
