# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module drill_fault, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_fault
short_description: Inject a fault into a host's services for a drill, and undo it
version_added: "1.0.0"
description:
  - Stops, kills or restarts services with systemd. A stopped or killed service can't start again until the fault is
    undone.
  - A timer on the host undoes the fault after O(limit) seconds if the drill doesn't. A reboot undoes it, too.
author: Greenroom developers (!UNKNOWN)
options:
  state:
    description:
      - V(injected) injects the fault into O(units).
      - V(undone) undoes all faults of drills on the host, and starts O(units).
      - V(status) changes nothing.
    type: str
    choices: [status, injected, undone]
    default: status
  how:
    description:
      - V(stopped) stops the services normally, V(killed) kills all of their processes at once, V(restarted) restarts
        the services.
    type: str
    choices: [stopped, killed, restarted]
  units:
    description: The services, with the suffix C(.service).
    type: list
    elements: str
    default: []
  limit:
    description: Seconds after which the host undoes the fault by itself.
    type: int
    default: 600
attributes:
  check_mode:
    description: Changes nothing on the host.
    support: full
  diff_mode:
    description: There are no file changes to show.
    support: none
"""

EXAMPLES = r"""
- name: Stop a service of the idle slot
  drill_fault:
    state: injected
    how: stopped
    units: [shop-green.service]
    limit: 300

- name: Undo the fault
  drill_fault:
    state: undone
    units: [shop-green.service]

- name: List running services
  drill_fault:
  register: services
"""

RETURN = r"""
at:
  description: The time when the fault began or was undone, by the host's clock, in seconds since 1970.
  returned: success
  type: float
ended:
  description: The time when the call finished, in seconds since 1970.
  returned: success
  type: float
broken:
  description: Services that a drill keeps from starting.
  returned: success
  type: list
  elements: str
running:
  description: The running services that also start at boot.
  returned: when O(state=status)
  type: list
  elements: str
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.drill import fault

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["status", "injected", "undone"], "default": "status"},
    "how": {"type": "str", "choices": list(fault.HOWS)},
    "units": {"type": "list", "elements": "str", "default": []},
    "limit": {"type": "int", "default": 600},
}


def main() -> None:
    """Inject a fault, undo it, or report the status."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, required_if=[("state", "injected", ("how", "units"))], supports_check_mode=True
    )
    given = module.params
    faults = fault.Faults(module.run_command)
    result: dict[str, Any] = {"changed": given["state"] == "injected"}
    try:
        if given["state"] == "status":
            result |= {"running": faults.running()}
        elif module.check_mode:
            result |= {"changed": given["state"] == "injected" or bool(faults.broken())}
        elif given["state"] == "injected":
            result |= faults.inject(given["how"], given["units"], given["limit"])
        else:
            result |= {"changed": faults.undo(given["units"])}
        now = time.time()
        module.exit_json(**{"at": now, "ended": now, "broken": faults.broken(), **result})
    except (fault.FaultError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
