# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The headers for an admin API, which may have a token, reach a module in a file and not as an argument."""

from __future__ import annotations

import json
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..common import secret_file


def headers_in(arguments: dict[str, Any]) -> dict[str, str]:
    """Take the headers from a module's arguments. Return them as a secret, or nothing if there are none."""
    headers = arguments.pop("headers", None) or {}
    if not isinstance(headers, dict):
        raise AnsibleActionFail("headers must be a mapping")
    return {"headers": json.dumps({str(name): str(value) for name, value in headers.items()})} if headers else {}


class AskingModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """The action of a module that only asks an admin API."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        secret = headers_in(arguments)
        found = secret_file.execute(self, arguments, secret, task_vars, lambda found: not found.get("failed", False))
        return {**result, **found}
