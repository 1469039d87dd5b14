# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Headers with a token, or a client's secret, for an admin API: they reach a module in a file, not as an argument."""

from __future__ import annotations

import json
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..common import secret_file


def secrets_in(arguments: dict[str, Any]) -> dict[str, str]:
    """Take the headers and the client's secret from a module's arguments. Return those that there are, as secrets."""
    headers = arguments.pop("headers", None) or {}
    if not isinstance(headers, dict):
        raise AnsibleActionFail("headers must be a mapping")
    found = {"headers": json.dumps({str(name): str(value) for name, value in headers.items()})} if headers else {}
    secret = arguments.pop("client_secret", None)
    return {**found, "client_secret": str(secret)} if secret else found


class AskingModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """The action of a module that only asks an admin API."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        secret = secrets_in(arguments)
        found = secret_file.execute(self, arguments, secret, task_vars, lambda found: not found.get("failed", False))
        return {**result, **found}
