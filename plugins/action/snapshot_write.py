# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Writes what the hosts of an environment said as one document, on the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom.controller.parity import document
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Takes each host's registered result of host_snapshot from its variables, so that no template copies them."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the file, and the hosts that did not answer with the reason."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            {
                "folder": {"type": "path", "required": True},
                "register": {"type": "str", "required": True},
                "known": {"type": "dict", "required": True},
                "public": {"type": "dict", "required": True},
                "began": {"type": "float", "required": True},
            }
        )
        variables: dict[str, Any] = task_vars or {}
        hosts = sorted(variables["groups"]["all"])
        results = {host: dict(variables["hostvars"][host].get(args["register"], {})) for host in hosts}
        found = document.document(results, variables["groups"], args["known"], args["public"], args["began"])
        try:
            path = document.write(Path(args["folder"]), found)
        except OSError as error:
            raise AnsibleActionFail(f"can't write the snapshot: {error}") from None
        silent = {name: host["silent"] for name, host in found["hosts"].items() if host["silent"]}
        return result | {"changed": False, "file": str(path), "silent": silent, "unread": document.unread(found)}
