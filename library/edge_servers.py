#!/usr/bin/python
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module edge_servers, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: edge_servers
short_description: Take a host out of HAProxy's traffic, and put it back
version_added: "1.0.0"
description:
  - Sets the state of all of a host's servers in HAProxy's processes on this edge host, without a reload. With
    C(drained), they get no new requests, and the module waits until the open ones have ended. With C(ready), it waits
    until they are healthy again.
  - A reload or restart of HAProxy makes them ready, too.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.haproxy
  - greenroom.no_diff
options:
  host:
    description: The host, as HAProxy's configuration calls its servers.
    type: str
    required: true
  state:
    description: Whether the host gets traffic.
    type: str
    choices: [drained, ready]
    required: true
  slot:
    description: >-
      The live slot. If one of its backends had no healthy server left without the host, nothing is drained, and the
      module fails. Required with C(drained).
    type: str
    choices: [blue, green]
  expected:
    description: Servers that must be healthy with C(ready), as RV(healthy) of an earlier call.
    type: list
    elements: str
    default: []
  wait_seconds:
    description: How long to wait at most.
    type: float
    default: 30
attributes:
  check_mode:
    description: Sets nothing and does not wait. Fails if the module would.
    support: full
"""

EXAMPLES = r"""
- name: Send no new requests to app1
  edge_servers:
    host: app1
    state: drained
    slot: blue
"""

RETURN = r"""
healthy:
  description: The host's servers that were healthy, as <backend>/<server>.
  returned: success
  type: list
  sample: [shop_http_blue/app1]
sessions:
  description: How many sessions of the host were still open after the wait.
  returned: success
  type: int
  sample: 0
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.switch import haproxy, servers

ARGUMENTS: dict[str, Any] = {
    "host": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["drained", "ready"], "required": True},
    "slot": {"type": "str", "choices": ["blue", "green"]},
    "expected": {"type": "list", "elements": "str", "default": []},
    "wait_seconds": {"type": "float", "default": 30},
    **haproxy.SOCKETS,
}


def main() -> None:
    """Set the state, and wait."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, required_if=[("state", "drained", ["slot"])], supports_check_mode=True
    )
    given = module.params
    edge = servers.Edge(given["socket"], given["master_socket"])
    try:
        if given["state"] == "drained":
            done = servers.drain(edge, given["host"], given["slot"], given["wait_seconds"], module.check_mode)
        else:
            done = servers.ready(edge, given["host"], given["expected"], given["wait_seconds"], module.check_mode)
    except haproxy.SocketError as error:
        module.fail_json(msg=str(error))
    if done.missing:
        module.fail_json(
            msg=f"{given['host']} gets traffic again, but after {given['wait_seconds']:g} s these are not healthy: "
            f"{', '.join(done.missing)}; look at their services on {given['host']}"
        )
    module.exit_json(changed=done.changed, healthy=done.healthy, sessions=done.sessions)


if __name__ == "__main__":
    main()
