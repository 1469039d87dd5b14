# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module slot_trial, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: slot_trial
short_description: Try whether what a slot's containers run would start again
version_added: "1.0.0"
description:
  - Starts what a running container runs a second time, from the container's own command, under another name. Waits
    until it is ready, until it ends, or until its time is over. Then removes it.
  - The second container has no published ports and no alias in the network, so nobody sends requests to it. The running
    container is not touched.
  - The module never fails because of a program that doesn't start.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.no_diff
options:
  containers:
    description: The containers to try, one after the other.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the running container.
        type: str
        required: true
      image:
        description: Its image, as its unit names it.
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
        description: The port to connect to, inside the container. Not used with C(command).
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
        description: How long this container may take to become ready. With 0, as long as O(seconds).
        type: int
        default: 0
  seconds:
    description: How long each may take to become ready, in seconds.
    type: int
    default: 60
attributes:
  check_mode:
    description: Starts nothing, and says what it would try.
    support: full
"""

EXAMPLES = r"""
- name: Try whether the live release starts on the migrated database
  slot_trial:
    containers:
      - name: shop-blue
        image: registry.example/shop@sha256:8a1f...
        port: 8080
        path: /readyz
"""

RETURN = r"""
tried:
  description: The result for each container. Without C(starts), the trial could not tell whether it would start.
  returned: success
  type: list
  elements: dict
  sample: [{name: shop-blue, starts: false, reason: "ended with exit code 1: the schema is newer than this release"}]
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.health.check import OPTIONS, HealthCheck
from ansible.module_utils.greenroom.images.start import Subject, Trials

CONTAINER: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "seconds": {"type": "int", "default": 0},
    **OPTIONS,
}


def main() -> None:
    """Try each container, or say which ones would be tried."""
    module = AnsibleModule(
        argument_spec={
            "containers": {"type": "list", "elements": "dict", "required": True, "options": CONTAINER},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    subjects = [
        Subject(given["name"], given["image"], HealthCheck.of(given), given["seconds"] or module.params["seconds"])
        for given in module.params["containers"]
    ]
    if module.check_mode:
        names = ", ".join(subject.name for subject in subjects)
        module.exit_json(changed=False, tried=[], msg=f"would try to start again: {names}")
    trials = Trials(module.run_command)
    module.exit_json(changed=False, tried=[asdict(trials.start(subject)) for subject in subjects])


if __name__ == "__main__":
    main()
