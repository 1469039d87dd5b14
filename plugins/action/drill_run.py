# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A playbook that a drill runs in the background, so that the drill can inject faults meanwhile, or kill it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom.controller.drill import playbook_process
from ansible.plugins.action import ActionBase

# Command line options that the drill passes on to its playbooks. Those have no terminal to ask for passwords at.
PASSED_ON = {
    "remote_user": "--user",
    "private_key_file": "--private-key",
    "become_password_file": "--become-password-file",
    "connection_password_file": "--connection-password-file",
}
LISTS_PASSED_ON = {
    "inventory": "--inventory",
    "vault_ids": "--vault-id",
    "vault_password_files": "--vault-password-file",
    "extra_vars": "--extra-vars",
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Starts a playbook, waits for its end, or kills it. Runs on the controller."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the record of `playbook_process`, or with `killed` the times `at` and `ended` of the kill."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            {
                "state": {"type": "str", "choices": ["started", "finished", "killed"], "required": True},
                "name": {"type": "str", "required": True},
                "folder": {"type": "path", "required": True},
                "playbook": {"type": "path"},
                "arguments": {"type": "list", "elements": "str", "default": []},
                "limit": {"type": "int", "default": 600},
            }
        )
        folder, name = Path(args["folder"]), args["name"]
        result["changed"] = args["state"] != "finished"
        match args["state"]:
            case "started":
                return result | {"record": self._start(folder, name, args)}
            case "killed":
                return result | self._kill(folder, name)
        record = playbook_process.wait(folder, name, args["limit"])
        if record is None:
            raise AnsibleActionFail(f"{name} was still running after {args['limit']} s; see {folder}/{name}.log")
        return result | {"record": record}

    def _start(self, folder: Path, name: str, args: dict[str, Any]) -> playbook_process.Record:
        environment = {key: value for key, value in os.environ.items() if key != "ANSIBLE_FORCE_COLOR"}
        # The drill parses the default callback's output in the log, whatever callback the operator uses.
        environment |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
        if constants.CONFIG_FILE:
            environment["ANSIBLE_CONFIG"] = constants.CONFIG_FILE
        # Its playbooks have no terminal to ask at. Only this user can read their environment.
        if context.CLIARGS.get("become_ask_pass") and (become := self._connection.become):
            environment["ANSIBLE_BECOME_PASS"] = become.get_option("become_pass") or ""
        try:
            return playbook_process.start(
                folder,
                name,
                command(args["playbook"], args["arguments"]),
                args["arguments"],
                cwd=os.getcwd(),
                env=environment,
                limit=args["limit"],
            )
        except OSError as error:
            raise AnsibleActionFail(f"{name}: {error}") from None

    def _kill(self, folder: Path, name: str) -> dict[str, Any]:
        record = playbook_process.read(folder, name)
        if record is None or record["ended"] is not None:
            raise AnsibleActionFail(f"can't kill {name}: it isn't running anymore; see {folder}/{name}.log")
        at = time.time()
        playbook_process.kill(record["pid"])
        return {"at": at, "ended": time.time()}


def command(playbook: str, arguments: list[str]) -> list[str]:
    """Return the command for a playbook with the drill's own inventory, variables and keys."""
    words = [sys.executable, "-m", "ansible", "playbook"]
    for key, option in LISTS_PASSED_ON.items():
        for value in context.CLIARGS.get(key) or ():
            words += [option, str(value)]
    for key, option in PASSED_ON.items():
        if value := context.CLIARGS.get(key):
            words += [option, str(value)]
    return [*words, playbook, *arguments]
