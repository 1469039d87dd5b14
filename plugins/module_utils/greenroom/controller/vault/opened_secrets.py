# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The secrets of an environment for an action: logs in to Vault, or opens the file that takes its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from .file_secrets import SecretsFileError, open_file
from .secrets import Secrets, VaultError

# An action's options for the Vault that it opens, if it is not given a file.
VAULT: dict[str, dict[str, Any]] = {
    "url": {"type": "str"},
    "auth": {"type": "dict", "default": {}, "no_log": True},
    "ca_file": {"type": "path"},
    "mount": {"type": "str", "default": "greenroom"},
}
# With these methods, the token belongs to the operator. Every other login makes a token, which is revoked at the end.
GIVEN = ("token", "none")


@contextmanager
def opened_secrets(
    action: ActionBase, file: str | None, args: Mapping[str, Any], task_vars: dict[str, Any] | None
) -> Iterator[Secrets]:
    """Yield the secrets in `file` or, without one, in the Vault at `url`; failures are an AnsibleError of one line.

    `args` has the action's options `environment_name`, `url`, `auth`, `ca_file` and `mount`.
    """
    if file:
        try:
            yield open_file(file, action._loader._vault, args["environment_name"], args["ca_file"])
        except SecretsFileError as problem:
            raise AnsibleError(str(problem)) from None
        return
    lookup = lookup_loader.get("environment_secrets", loader=action._loader, templar=action._templar)
    login = {name: args[name] for name in ("url", "environment_name", "mount")} | {"ca_cert": args["ca_file"]}
    secrets: Secrets = lookup.login(task_vars, **login, **args["auth"])
    try:
        yield secrets
    except VaultError as problem:
        raise lookup.error(problem) from None
    finally:
        if args["auth"].get("auth_method", "token") not in GIVEN:
            secrets.leave()
