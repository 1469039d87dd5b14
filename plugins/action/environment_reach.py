# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Finds out whether a host answers, without failing if it doesn't."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Connects to the task's host. Later tasks use the same connection, so this takes almost no time."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether the host is `silent`, and if so, the `reason`."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        try:
            self._low_level_execute_command(":", sudoable=False)
        except AnsibleConnectionFailure as failure:
            return result | {"changed": False, "silent": True, "reason": str(failure)}
        return result | {"changed": False, "silent": False, "reason": ""}
