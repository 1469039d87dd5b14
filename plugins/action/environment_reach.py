# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Finds out whether a host answers, without failing if it doesn't."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.greenroom.controller.hosts import reach
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Connects to the task's host. Later tasks use the same connection, so this takes almost no time.

    Ansible's own timeout is only for new connections: on one that is open already, it waits for a host that is gone
    until SSH gives it up.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether the host is `silent`, and if so, the `reason`."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(
            {"asked": {"type": "int", "required": True}, "seconds": {"type": "float", "required": True}}
        )
        reason = self._silence(args["asked"], args["seconds"], str((task_vars or {}).get("inventory_hostname")))
        return result | {"changed": False, "silent": bool(reason), "reason": reason}

    def _silence(self, asked: int, seconds: float, host: str) -> str:
        """Return why the host is silent, "" if it isn't."""
        connection = self._connection
        if connection.transport == "ssh" and not connection.get_option("password"):
            connection.host = connection.get_option("host") or self._play_context.remote_addr
            command = connection._build_command(connection.get_option("ssh_executable"), "ssh", connection.host, ":")
            # All hosts of this run, and no other run.
            folder = Path(constants.DEFAULT_LOCAL_TMP) / "reach"
            reason: str = reach.silence([os.fsdecode(part) for part in command], host, folder, asked, seconds)
            return reason
        try:
            self._low_level_execute_command(":", sudoable=False)
        except AnsibleConnectionFailure as failure:
            return str(failure)
        return ""
