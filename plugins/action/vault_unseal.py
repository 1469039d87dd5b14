# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Initializes and unseals an OpenBao of the environment's own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import hvac
import requests
from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom.controller.vault import refusals, unseal
from ansible.plugins.action import ActionBase

START_SECONDS = 30
ARGUMENTS: dict[str, dict[str, Any]] = {
    "url": {"type": "str", "required": True},
    "ca_file": {"type": "path", "required": True},
    # The folder with the key files.
    "folder": {"type": "path", "required": True},
    # A certificate (PEM) that joins the CA file first.
    "trust": {"type": "str", "default": ""},
    "initialize": {"type": "bool", "default": False},
    "keys": {"type": "int", "required": True, "no_log": False},
    "needed": {"type": "int", "required": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs on the controller, which has the key files."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was `said`: what was done, and what to do next."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(ARGUMENTS)
        if self._task.check_mode:
            return result | {"changed": False, "said": ["check mode leaves OpenBao as it is"]}
        ca_file, folder = Path(args["ca_file"]), Path(args["folder"])
        trusted = bool(args["trust"]) and unseal.trust(ca_file, args["trust"])
        # Without the file, the system's authorities count.
        client = hvac.Client(args["url"], verify=str(ca_file) if ca_file.exists() else True, timeout=START_SECONDS)
        said: list[str] = []
        try:
            self._reach(client, requests.exceptions.ConnectionError, args["initialize"])
            if args["initialize"]:
                said = unseal.initialize(client, folder, args["keys"], args["needed"])
            opened = unseal.unseal(client, folder)
        except unseal.UnsealError as error:
            raise AnsibleActionFail(f"OpenBao at {args['url']}{error}") from None
        except Exception as error:
            raise AnsibleActionFail(refusals.explain(error, args["url"], "unsealing")) from None
        changed = trusted or opened or bool(said)
        done = f"OpenBao at {args['url']} {'is open now' if opened else 'was open already'}"
        return result | {"changed": changed, "said": [done, *said]}

    def _reach(self, client: Any, refused: type[Exception], starts: bool) -> None:
        """Wait for a server that was just started."""
        end = time.monotonic() + (START_SECONDS if starts else 0)

        def wait() -> bool:
            time.sleep(0.5)
            return time.monotonic() < end

        unseal.retried(client.sys.read_seal_status, (refused,), wait)
