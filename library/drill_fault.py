# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module drill_fault; its documentation is data below."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_fault
short_description: Break services of a host for a drill, and mend them again
version_added: "1.0.0"
description:
  - Stops, kills or restarts services through systemd. What is stopped or killed can't be started again until the fault
    is undone, neither by systemd nor by anybody.
  - A timer on the host undoes the fault after O(limit) seconds, should nobody else do so; a reboot undoes it, too.
author: Greenroom developers (!UNKNOWN)
options:
  state:
    description:
      - With V(injected), O(units) are broken.
      - With V(undone), O(units) run afterwards, and whatever else a drill broke on the host.
      - With V(status) nothing is changed.
    type: str
    choices: [status, injected, undone]
    default: status
  how:
    description:
      - V(stopped) stops the services in order, V(killed) kills all of their processes at once, V(restarted) restarts
        them.
    type: str
    choices: [stopped, killed, restarted]
  units:
    description: The services, with their suffix C(.service).
    type: list
    elements: str
    default: []
  limit:
    description: Seconds after which the host undoes the fault by itself.
    type: int
    default: 600
attributes:
  check_mode:
    description: Breaks and mends nothing.
    support: full
  diff_mode:
    description: There are no files to show.
    support: none
"""

EXAMPLES = r"""
- name: Stop a service of the idle slot
  drill_fault:
    state: injected
    how: stopped
    units: [shop-green.service]
    limit: 300

- name: Mend it
  drill_fault:
    state: undone
    units: [shop-green.service]

- name: See what runs
  drill_fault:
  register: services
"""

RETURN = r"""
at:
  description: When the fault began, or the undoing was done, by the host's clock, in seconds since the epoch.
  returned: success
  type: float
ended:
  description: When all that the call does was done.
  returned: success
  type: float
broken:
  description: The services that a drill keeps down.
  returned: success
  type: list
  elements: str
running:
  description: The services that run, and that come up by themselves after a boot.
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
    """Break, mend or look."""
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
