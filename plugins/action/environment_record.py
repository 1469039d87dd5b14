# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The record off the edge: the last switch, on a host that survives the loss of the edge hosts."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["read", "present"], "default": "present"},
    "path": {"type": "path", "required": True},
    "live": {"type": "str"},
    "epoch": {"type": "int"},
    "from_epoch": {"type": "int"},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Reads or writes the record. One shell command on the task's host: a module takes four times as long."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `record` = {live, epoch, from: the epoch before the switch}, empty if there is none."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            ARGUMENTS, required_if=[("state", "present", ("live", "epoch", "from_epoch"))]
        )
        path = shlex.quote(args["path"])
        if args["state"] == "read":
            text = self._shell(f"if [ -e {path} ]; then cat {path}; fi", "can't read the record")
            return result | {"changed": False, "record": json.loads(text or "{}")}
        record = {"live": args["live"], "epoch": args["epoch"], "from": args["from_epoch"]}
        line = json.dumps(record)
        if not self._task.check_mode:
            write = f"umask 022; mkdir -p $(dirname {path}) && printf '%s\\n' {shlex.quote(line)} > {path}.new"
            # Durable before the first edge host switches: complete or unchanged, also after a power failure.
            self._shell(f"{write} && sync {path}.new && mv {path}.new {path} && sync $(dirname {path})", "can't write")
        return result | {"changed": True, "record": record, "diff": {"prepared": f"{args['path']}: {line}\n"}}

    def _shell(self, command: str, failure: str) -> str:
        done = self._low_level_execute_command(command)
        if done["rc"] != 0:
            raise AnsibleActionFail(f"{failure}: {(done['stderr'] or done['stdout']).strip()}")
        return str(done["stdout"])
