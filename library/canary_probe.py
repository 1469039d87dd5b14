# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module canary_probe; its documentation is data below."""

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_probe
short_description: Ask both slots for the same pages, side by side
version_added: "1.0.0"
description:
  - Sends requests through the edge to both slots in turn, at a fixed pace, each with the header C(X-Greenroom-Slot),
    and counts what comes. The edge must let this host name a slot.
  - An answer of another slot, or of the edge itself, is no figure but a note.
  - Reads the metrics pages of both slots before and after.
  - Ends early when the candidate is clearly broken.
author: Greenroom developers (!UNKNOWN)
options:
  url:
    description: The environment's front door.
    type: str
    required: true
  live:
    description: The slot to compare with.
    type: str
    choices: [blue, green]
    required: true
  candidate:
    description: The slot that is judged.
    type: str
    choices: [blue, green]
    required: true
  paths:
    description: What to ask for. Without any, only the metrics pages are read.
    type: list
    elements: str
    default: []
  rate:
    description: Requests a second, of both slots together.
    type: float
    default: 10
  seconds:
    description: For how long.
    type: float
    required: true
  timeout:
    description: Seconds within which an answer must be there.
    type: float
    default: 5
  ca_file:
    description: CA certificates to trust, in place of the system's.
    type: path
  resolve:
    description: Addresses of names, in place of what a name server says.
    type: dict
    default: {}
  username:
    description: User name for the edge.
    type: str
    default: ""
  password:
    description: Password for the edge.
    type: str
    default: ""
  targets:
    description: Metrics pages, as the filter C(canary_targets) makes them.
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    description: Nothing is asked, and the figures are those of no request.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
"""

EXAMPLES = r"""
- name: Ask both slots for 15 seconds
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
  description: Figures of the probes of each side, C(live) and C(candidate).
  returned: always
  type: dict
watched:
  description: What each process did meanwhile, by its metrics page, as a list for each side.
  returned: always
  type: dict
notes:
  description: What kept probes from being figures.
  returned: always
  type: list
  elements: str
  sample: [3 probes got status 401 from the edge itself, not from the slot they asked for]
stopped_early:
  description: Whether the candidate was so clearly broken that probing ended.
  returned: always
  type: bool
seconds:
  description: How long it took.
  returned: always
  type: float
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.canary import prober, verdict
from ansible.module_utils.greenroom.common import web

SLOTS = ["blue", "green"]
ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "live": {"type": "str", "choices": SLOTS, "required": True},
    "candidate": {"type": "str", "choices": SLOTS, "required": True},
    "paths": {"type": "list", "elements": "str", "default": []},
    "rate": {"type": "float", "default": 10},
    "seconds": {"type": "float", "required": True},
    "timeout": {"type": "float", "default": 5},
    "ca_file": {"type": "path"},
    "resolve": {"type": "dict", "default": {}},
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "targets": {"type": "list", "elements": "dict", "default": []},
}


def main() -> None:
    """Probe and report."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if given["live"] == given["candidate"]:
        module.fail_json(msg="live and candidate are the same slot")
    try:
        plan = prober.Plan(
            url=given["url"],
            slots={"live": given["live"], "candidate": given["candidate"]},
            paths=given["paths"],
            rate=given["rate"],
            seconds=given["seconds"],
            timeout=given["timeout"],
            network=web.Network({str(k): str(v) for k, v in given["resolve"].items()}, given["ca_file"]),
            username=given["username"],
            password=given["password"],
        )
    except ValueError as error:
        module.fail_json(msg=str(error))
    if module.check_mode:
        nothing = verdict.empty_slice(0)
        module.exit_json(
            changed=False,
            **{key: nothing[key] for key in ("probes", "watched", "notes")},
            stopped_early=False,
            seconds=0.0,
        )
    module.exit_json(changed=False, **prober.observe(plan, given["targets"]))


if __name__ == "__main__":
    main()
