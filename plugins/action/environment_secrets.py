# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""An environment's secrets, in Vault or a file: reads them for a run, or creates missing ones."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.greenroom.controller.vault.file_secrets import FileSecrets
from ansible.module_utils.greenroom.controller.vault.key_match import key_problem
from ansible.module_utils.greenroom.controller.vault.opened_secrets import VAULT, opened_secrets
from ansible.module_utils.greenroom.controller.vault.refusals import missing_line
from ansible.module_utils.greenroom.controller.vault.secrets import CERTIFICATE, Secrets, needs_issue
from ansible.plugins.action import ActionBase

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["read", "present"], "default": "read"},
    "environment_name": {"type": "str", "required": True},
    "paths": {"type": "list", "elements": "str", "required": True},
    # Without a file, the secrets are in the Vault at `url`.
    "file": {"type": "path"},
    **VAULT,
    "required": {"type": "bool", "default": True},
    "create": {"type": "bool", "default": False},
    "read_only": {"type": "list", "elements": "str", "default": []},
    "given": {"type": "list", "elements": "str", "default": []},
    # Paths that may be missing.
    "optional": {"type": "list", "elements": "str", "default": []},
    # Given certificates, {name: {chain, key: path of the private key}}.
    "given_certificates": {"type": "dict", "default": {}},
    "certificates": {"type": "dict", "default": {}},
    "certificate_mount": {"type": "str", "default": "pki"},
    "certificate_role": {"type": "str"},
    "certificate_days": {"type": "int", "default": 30},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs on the controller. Shows its errors but not its secrets: `no_log` on the task would hide both."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `secrets` = {path: content} and the certificates `due`, or the paths `created` and `renewed`.

        Without `required`, a failure isn't an error: there are no secrets, and `unreadable` says why.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(ARGUMENTS)
        try:
            return result | self._answer(args, task_vars)
        except AnsibleError as error:  # the lookup's error, without the text that Ansible adds to it
            if not args["required"]:
                return result | {"changed": False, "secrets": {}, "unreadable": error.message}
            raise AnsibleActionFail(error.message) from None

    def _answer(self, args: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        with opened_secrets(self, args["file"], args, task_vars) as secrets:
            result = self._present(secrets, args) if args["state"] == "present" else self._values(secrets, args)
            if isinstance(secrets, FileSecrets) and not self._task.check_mode:
                secrets.trust()
            return result

    def _values(self, secrets: Secrets, args: dict[str, Any]) -> dict[str, Any]:
        values = secrets.read([*args["paths"], *args["optional"]])
        missing = [path for path in args["paths"] if path not in values]
        if missing:
            raise AnsibleError(self._missing(args, missing, args["read_only"]))
        for name, own in args["given_certificates"].items():
            if problem := key_problem(own["chain"], str(values[own["key"]]["value"])):
                put = f"playbooks/secret.yml -e put={own['key']} -e put_file=<file>"
                raise AnsibleError(f"edge_certificates.{name}.key: {own['key']} {problem}; put the right one: {put}")
        due = [
            path
            for path, names in _certificates(args).items()
            if path in values and needs_issue(values[path], names, args["certificate_days"])
        ]
        found = {"secrets": values, "written": secrets.written, "due": due, "unreadable": ""}
        return {"changed": False, **found, "_ansible_no_log": True}

    def _missing(self, args: dict[str, Any], paths: list[str], foreign: list[str]) -> str:
        place = args["file"] or "Vault"
        line: str = missing_line(args["environment_name"], paths, foreign, args["given"], place)
        return line

    def _present(self, secrets: Secrets, args: dict[str, Any]) -> dict[str, Any]:
        certificates = _certificates(args)
        values = secrets.read([*args["paths"], *certificates])
        missing = [path for path in args["paths"] if path not in values and path not in certificates]
        # Nothing here makes up what others issue.
        foreign = sorted(set(missing) & {*args["read_only"], *args["given"]})
        if foreign and args["create"]:
            raise AnsibleError(self._missing(args, foreign, args["read_only"]))
        due = [
            path
            for path, names in certificates.items()
            if (path in values or args["create"]) and needs_issue(values.get(path), names, args["certificate_days"])
        ]
        created = [path for path in missing if args["create"]]
        if not self._task.check_mode:
            secrets.create(created)
            for path in due:
                role = args["certificate_role"] or args["environment_name"]
                secrets.issue(path, certificates[path], args["certificate_mount"], role)
        renewed = [path for path in due if path in values]
        created += [path for path in due if path not in values]
        lines = [*(f"created {path}\n" for path in created), *(f"renewed {path}\n" for path in renewed)]
        return {"changed": bool(lines), "created": created, "renewed": renewed, "diff": {"prepared": "".join(lines)}}


def _certificates(args: dict[str, Any]) -> dict[str, list[str]]:
    """Return the DNS names of each certificate, by its path."""
    return {f"{CERTIFICATE}{name}": names for name, names in args["certificates"].items()}
