# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The controller's part of identity_seed: invents people and hashes the password, and only when somebody is missing."""

from __future__ import annotations

import importlib
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom import hashing
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Asks the host who is missing, and calls it again with them; a run that changes nothing is one call."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module once, or twice when people are to be created."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        password = str(arguments.pop("password", None) or "")
        if arguments.get("state", "present") == "present":
            try:
                hashing.validate(password, int(arguments.get("cost", 12)))
            except ValueError as error:
                raise AnsibleActionFail(str(error)) from error
        found = self._execute_module(module_args=arguments, task_vars=task_vars)
        missing = found.pop("missing_people", None) or []
        if missing and not found.get("failed") and not self._task.check_mode:
            found = self._execute_module(
                module_args={**arguments, **self._invent(found["people"], missing, password)}, task_vars=task_vars
            )
            found.pop("missing_people", None)
            # All people's names would otherwise be shown and stored with each result.
            found.get("invocation", {}).get("module_args", {}).pop("_names", None)
        found.pop("people", None)
        result.update(found)
        return result

    def _invent(self, people: dict[str, Any], missing: list[int], password: str) -> dict[str, Any]:
        """Return names and password hash for the missing people, as arguments of the module."""
        # Loading Faker costs a third of a second, which a run that changes nothing does not pay.
        names = importlib.import_module("ansible.module_utils.greenroom.people").names
        invented = names(people["set"], people["seed"], missing)
        return {
            "_names": {str(index): name for index, name in invented.items()},
            "_password_hash": hashing.hash_password(password, people["cost"], people["set"]),
        }
