# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rotates secrets of an environment in Vault or a file, so that a run can take the new ones to hosts and slots."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.greenroom.controller.bundle import rotation
from ansible.module_utils.greenroom.controller.vault.opened_secrets import VAULT, opened_secrets
from ansible.module_utils.greenroom.controller.vault.secrets import CERTIFICATE, Secrets
from ansible.plugins.action import ActionBase

ARGUMENTS: dict[str, dict[str, Any]] = {
    # `reached` records that the live slot knows the appended keys of rings.
    "state": {"type": "str", "choices": ["rotated", "reached"], "default": "rotated"},
    "environment_name": {"type": "str", "required": True},
    "what": {"type": "str", "default": ""},
    "paths": {"type": "list", "elements": "str", "required": True},
    "foreign": {"type": "list", "elements": "str", "default": []},
    # The live slot, unless none is live yet.
    "live": {"type": "str"},
    # The names of each certificate.
    "certificates": {"type": "dict", "default": {}},
    "certificate_mount": {"type": "str", "default": "pki"},
    "certificate_role": {"type": "str"},
    # Without a file, the secrets are in the Vault at `url`.
    "file": {"type": "path"},
    **VAULT,
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs on the controller. Its result has paths and lines, but no secret."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `lines` of what was rotated, or in check mode would be, and whether to `redeploy` the idle slot."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(ARGUMENTS)
        try:
            with opened_secrets(self, args["file"], args, task_vars) as secrets:
                act = self._rotate if args["state"] == "rotated" else self._record
                return result | act(secrets, args)
        except rotation.RotationError as error:
            raise AnsibleActionFail(str(error)) from None
        except AnsibleError as error:  # the lookup's error, without the text that Ansible adds to it
            raise AnsibleActionFail(error.message) from None

    def _rotate(self, secrets: Secrets, args: dict[str, Any]) -> dict[str, Any]:
        rings = secrets.read(_rings(args["paths"]))
        steps = rotation.plan(args["what"], args["paths"], args["foreign"], args["live"], rings)
        values = rings | secrets.read([step.path for step in steps if step.path not in rings])
        if not self._task.check_mode:
            for step in steps:
                self._take(secrets, step, values.get(step.path, {}), args)
        lines = [step.line() for step in steps]
        changed = any(step.action != "wait" for step in steps)
        redeploy = any(rotation.is_login(step.path) for step in steps)
        return {
            "changed": changed,
            "redeploy": redeploy,
            "lines": lines,
            "diff": {"prepared": "".join(f"{line}\n" for line in lines)},
        }

    def _take(self, secrets: Secrets, step: rotation.Step, content: dict[str, Any], args: dict[str, Any]) -> None:
        if step.action == "issue":
            names = args["certificates"][step.path.removeprefix(CERTIFICATE)]
            role = args["certificate_role"] or args["environment_name"]
            secrets.issue(step.path, names, args["certificate_mount"], role)
        elif step.action != "wait":
            secrets.replace(step.path, rotation.replaced(step, content))

    def _record(self, secrets: Secrets, args: dict[str, Any]) -> dict[str, Any]:
        found = secrets.read(_rings(args["paths"]))
        known = {path: after for path, before in found.items() if (after := rotation.reached(before))}
        if not self._task.check_mode:
            for path, content in known.items():
                secrets.replace(path, content)
        lines = [f"{path}: the live slot knows its new key; rotate it once more to use it" for path in known]
        return {"changed": bool(known), "lines": lines}


def _rings(paths: list[str]) -> list[str]:
    return [path for path in paths if path.split("/")[1:2] == ["ring"]]
