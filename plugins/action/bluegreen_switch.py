# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Action of `bluegreen_switch`: calls greenroom-edge on the host if it has the same logic, or else the module.

A cutover calls it four times on each edge host. The program is compiled there already; a module is packed, sent and
compiled for each call.
"""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.greenroom.switch.module_call import logic_digest
from ansible.module_utils.greenroom.switch.options import ARGUMENTS
from ansible.plugins.action import ActionBase

PROGRAM = "/usr/local/sbin/greenroom-edge module"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Calls the program or the module."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        answer = self._call_program(arguments)
        if answer is None:
            answer = self._execute_module(task_vars=task_vars)
        return {**result, **answer}

    def _call_program(self, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """Return the program's result; None if the host doesn't have it yet, or with other logic."""
        request = {"logic": logic_digest(), "arguments": arguments, "check": self._task.check_mode}
        done = self._low_level_execute_command(PROGRAM, in_data=json.dumps(request).encode())
        try:
            answer: dict[str, Any] = json.loads(done["stdout"]) if done["rc"] == 0 else {}
        except ValueError:
            answer = {}
        return None if not answer or "other_logic" in answer else answer
