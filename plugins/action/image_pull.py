# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Action of `image_pull`: calls the module until all images are there, and prints how far it is."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Calls the module, each time for some seconds."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's last result, with all images that the calls have pulled."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        host = (task_vars or {}).get("inventory_hostname", "")
        pulled: list[str] = []
        continued: dict[str, Any] = {}
        while True:
            given = self._task.args | continued
            found: dict[str, Any] = self._execute_module(
                module_name=self._task.action, module_args=given, task_vars=task_vars
            )
            pulled += found.get("pulled") or []
            if found.get("failed") or not found.get("progress"):
                break
            self._display.display(f"    {host}: {found['progress']}")
            continued = {"continued": True}
        if not found.get("failed"):
            found |= {"pulled": pulled, "changed": bool(pulled)}
        return result | found
