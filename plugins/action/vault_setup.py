# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Prepares Vault for an environment, or shows what it would do."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.greenroom.controller.vault import setup, unseal
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

ARGUMENTS: dict[str, dict[str, Any]] = {
    "environment_name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
    "namespace": {"type": "str"},
    "ca_file": {"type": "path", "required": True},
    "mount": {"type": "str", "required": True},
    "certificate_mount": {"type": "str", "required": True},
    "certificate_role": {"type": "str", "required": True},
    "domains": {"type": "list", "elements": "str", "required": True},
    "login": {"type": "bool", "required": True},
    "login_days": {"type": "int", "required": True},
    "login_cidrs": {"type": "list", "elements": "str", "required": True},
    # The hosts that renew their certificates themselves.
    "hosts": {"type": "dict", "default": {}},
    # The folder that gets the login and the CA.
    "access": {"type": "path", "required": True},
    "apply": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs on the controller, with the token of an operator who may set up Vault."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the `plan`, one line for each part, and how many of them are still to `do`."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(ARGUMENTS)
        if not args["token"]:
            raise AnsibleActionFail("VAULT_TOKEN is empty; set it to a token that may set up engines and logins")
        lookup = lookup_loader.get("environment_secrets", loader=self._loader, templar=self._templar)
        login = {name: args[name] for name in ("url", "environment_name", "mount")}
        given = {"token": args["token"]} | ({"namespace": args["namespace"]} if args["namespace"] else {})
        # Without the file, the system's authorities count.
        ca_file = args["ca_file"] if Path(args["ca_file"]).exists() else None
        doing = "the plan"
        try:
            client = lookup.login(task_vars, **login, ca_cert=ca_file, auth_method="token", **given).client
            steps = setup.plan(client, self._wanted(args))
            carries_out = args["apply"] and not self._task.check_mode
            for step in steps if carries_out else ():
                doing = f"{step.verb} {step.what}"
                step.act()
            doing = "the files in the access folder"
            files = _files(client, args, carries_out)
        except setup.SetupError as error:
            raise AnsibleActionFail(f"Vault at {args['url']}: {error}") from None
        except AnsibleError:
            raise
        except Exception as error:
            raise AnsibleActionFail(lookup.error(error, doing).message) from None
        plan = [step.line for step in steps] + files
        todo = sum(not line.startswith("keep ") for line in plan)
        return result | {"changed": bool(todo) and args["apply"], "plan": plan, "do": todo}

    def _wanted(self, args: dict[str, Any]) -> setup.Wanted:
        names = ("environment_name", "mount", "certificate_mount", "certificate_role", "domains")
        last = (args["login"], args["login_days"], args["login_cidrs"], args["hosts"])
        return setup.Wanted(*(args[name] for name in names), *last)


def _files(client: Any, args: dict[str, Any], carries_out: bool) -> list[str]:
    """Write the login and the CA to the access folder, or say what is missing there; return the plan's lines."""
    folder, lines = Path(args["access"]), []
    role_id, secret_id = folder / "vault-role-id", folder / "vault-secret-id"
    if args["login"]:
        works = role_id.exists() and secret_id.exists() and _works(client, role_id, secret_id)
        lines.append(f"{'keep' if works else 'create'} a login in {role_id} and {secret_id.name}")
        if not works and carries_out:
            name = args["environment_name"]
            unseal.write(role_id, client.auth.approle.read_role_id(name)["data"]["role_id"])
            unseal.write(secret_id, client.auth.approle.generate_secret_id(name)["data"]["secret_id"])
    authority = _authority(client, args["certificate_mount"])
    ca_file = Path(args["ca_file"])
    trusted = bool(authority) and ca_file.exists() and authority in ca_file.read_text(encoding="utf-8")
    lines.append(f"{'keep' if trusted else 'add'} the CA in {ca_file}")
    if authority and carries_out:
        unseal.trust(ca_file, authority)
    return lines


def _works(client: Any, role_id: Path, secret_id: Path) -> bool:
    with contextlib.suppress(Exception):
        made = client.auth.approle.login(role_id.read_text().strip(), secret_id.read_text().strip(), use_token=False)
        client.write_data("auth/token/revoke-accessor", data={"accessor": made["auth"]["accessor"]})
        return True
    return False


def _authority(client: Any, mount: str) -> str:
    with contextlib.suppress(Exception):
        return str(client.secrets.pki.read_ca_certificate(mount_point=mount)).strip()
    return ""
