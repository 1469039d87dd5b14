# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Puts one secret that was issued elsewhere where the others are, from a file, an environment variable or a prompt."""

from __future__ import annotations

import getpass
import os
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError, AnsiblePromptNoninteractive
from ansible.module_utils.greenroom.controller.bundle import given_secrets as given
from ansible.module_utils.greenroom.controller.providers import live
from ansible.module_utils.greenroom.controller.vault.opened_secrets import VAULT, opened_secrets
from ansible.module_utils.greenroom.controller.vault.secrets import Secrets
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

ARGUMENTS: dict[str, dict[str, Any]] = {
    "environment_name": {"type": "str", "required": True},
    "path": {"type": "str", "required": True},
    "settable": {"type": "dict", "required": True},
    "file": {"type": "str", "default": ""},
    "variable": {"type": "str", "default": ""},
    "owner": {"type": "str", "default": ""},
    # What must not be in an environment that is not protected: texts, and secrets with these fingerprints.
    "protected": {"type": "bool", "default": False},
    "foreign": {"type": "list", "elements": "str", "default": []},
    "fingerprints": {"type": "str", "default": ""},
    # Without a file, the secrets are in the Vault at `url`.
    "secrets_file": {"type": "path"},
    **VAULT,
}
SOURCES = "-e put_file=<file> or -e put_variable=<variable of the environment>"


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs on the controller. The value is never an argument: arguments are shown, and stay in a shell's history."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether the value or its owner `changed`, and the `version` in Vault."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(ARGUMENTS)
        if problem := given.path_problem(args["path"], args["settable"]):
            raise AnsibleActionFail(f"put: {problem}")
        if args["file"] and args["variable"]:
            raise AnsibleActionFail(f"put_file, put_variable: the value has one source; give {SOURCES}")
        source = args["file"] or args["variable"] or "the answer"
        try:
            value = given.text_of(self._content(args), bool(args["settable"][args["path"]]))
        except given.ValueRefusedError as problem:
            raise AnsibleActionFail(f"{args['path']}: {source} {problem}") from None
        foreign = (args["environment_name"], args["foreign"], args["fingerprints"])
        if lines := live.secret_problems({args["path"]: {"value": value}}, *foreign, protected=args["protected"]):
            raise AnsibleActionFail("\n".join(lines))
        try:
            return result | self._put(args, value, task_vars)
        except AnsibleError as error:  # the lookup's error, without the text that Ansible adds to it
            raise AnsibleActionFail(error.message) from None

    def _content(self, args: dict[str, Any]) -> bytes:
        if args["file"]:
            content: bytes = given.file_content(args["file"])
            return content
        if args["variable"]:
            if args["variable"] not in os.environ:
                raise given.ValueRefusedError("is not a variable of the environment; export it, or name another one")
            return os.fsencode(os.environ[args["variable"]])
        where = f"{args['environment_name']}/{args['path']}"
        try:
            answer: bytes = Display().prompt_until(f"Value of {where}, which is not shown:", private=True)
        except AnsiblePromptNoninteractive:
            raise given.ValueRefusedError(f"can't be asked for without a terminal; give {SOURCES}") from None
        return answer

    def _put(self, args: dict[str, Any], value: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        with opened_secrets(self, args["secrets_file"], args, task_vars) as secrets:
            return self._written(secrets, args, value)

    def _written(self, secrets: Secrets, args: dict[str, Any], value: str) -> dict[str, Any]:
        path = args["path"]
        known = secrets.read([path]).get(path, {})
        owner = args["owner"] or known.get("owner") or getpass.getuser()
        changed = (known.get("value"), known.get("owner")) != (value, owner)
        if changed and not self._task.check_mode:
            secrets.put(path, value, owner)
        return {"changed": changed, "owner": owner, "new": not known}
