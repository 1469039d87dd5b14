# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module slot_ready, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slot_ready
short_description: Wait until a slot's containers are ready
version_added: "1.0.0"
description:
  - Checks containers that have just been started on this host, all at the same time, until all are ready. Ends early
    if one of them won't be, because it has had its time, its unit doesn't run, or its program has ended three times
    meanwhile.
  - The module never fails because of a container that is not ready.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.no_diff
options:
  containers:
    description: The containers.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the container. Its unit has this name, too.
        type: str
        required: true
      kind:
        description:
          - How to tell whether the program is ready. With C(http), its health page returns O(containers[].status). With
            C(tcp), it accepts connections. With C(grpc), it says so when asked as C(grpc.health.v1) wants it. With
            C(command), O(containers[].command) ends with exit code 0 in the container.
        type: str
        choices: [http, tcp, grpc, command]
        default: http
      port:
        description: The port to connect to, published on this host. Not used with C(command).
        type: int
        default: 0
      path:
        description: The path of its health page.
        type: str
        default: /
      method:
        description: The method of the request to its health page.
        type: str
        default: GET
      headers:
        description: The headers of that request.
        type: dict
        default: {}
      status:
        description: The status of its response when the program is ready.
        type: int
        default: 200
      authority:
        description: The server's public name, for C(grpc).
        type: str
        default: ""
      service:
        description: The service that C(grpc) asks about. Empty for the server as a whole.
        type: str
        default: ""
      command:
        description: The command to run in the container, for C(command).
        type: list
        elements: str
        default: []
      seconds:
        description: How long this container may take. With 0, as long as O(seconds).
        type: int
        default: 0
  seconds:
    description: How long each may take to become ready, in seconds.
    type: int
    default: 90
attributes:
  check_mode:
    description: Waits for nothing.
    support: full
"""

EXAMPLES = r"""
- name: Wait for the shop, which loads its index for some minutes
  slot_ready:
    containers:
      - name: shop-green
        port: 28080
        path: /readyz
        headers: {Host: portal.example}
        seconds: 600
      - name: search-green
        kind: command
        command: [search, ping]
"""

RETURN = r"""
containers:
  description:
    - The result for each container, without those for which it didn't wait any longer. For one that is not ready,
      C(journal) has the last lines of its unit's journal, and C(output) what the command of its check has said. Both
      may contain secrets.
  returned: success
  type: list
  elements: dict
  sample:
    - unit: shop-green.service
      ready: false
      reason: its program ended 3 times, the last time with exit status 1
      output: ""
      journal: ["can't open /var/lib/shop/index"]
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.health.check import OPTIONS, HealthCheck
from ansible.module_utils.greenroom.health.ready import Container, Wait
from ansible.module_utils.greenroom.tree.commands import run

CONTAINER: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "seconds": {"type": "int", "default": 0},
    **OPTIONS,
}


def main() -> None:
    """Wait for all containers."""
    module = AnsibleModule(
        argument_spec={
            "containers": {"type": "list", "elements": "dict", "required": True, "options": CONTAINER},
            "seconds": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    containers = [
        Container(given["name"], HealthCheck.of(given), given["seconds"] or module.params["seconds"])
        for given in module.params["containers"]
    ]
    outcomes = [] if module.check_mode else Wait(run).outcomes(containers)
    module.exit_json(changed=False, containers=[asdict(outcome) for outcome in outcomes])


if __name__ == "__main__":
    main()
