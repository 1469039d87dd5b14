# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Asks an environment's public name from the controller, as a client would."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.greenroom.common.web import Network
from ansible.module_utils.greenroom.controller.parity import public
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Returns what the public name answers as parts of a snapshot."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return {parts: {public: {items, unread}}}, nothing without a name."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            {
                "name": {"type": "str", "required": True},
                "address": {"type": "str", "default": ""},
                "paths": {"type": "list", "elements": "str", "required": True},
                "ca_file": {"type": "str", "default": ""},
                "headers": {"type": "dict", "default": {}, "no_log": True},
            }
        )
        resolve = {args["name"]: args["address"]} if args["address"] else {}
        network = Network(resolve=resolve, ca_file=args["ca_file"] or None)
        parts = {"public": public.look(args["name"], args["paths"], network, args["headers"])} if args["name"] else {}
        return result | {"changed": False, "parts": parts}
