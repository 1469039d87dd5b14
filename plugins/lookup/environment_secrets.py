# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read all secrets of an environment with one login."""

from __future__ import annotations

DOCUMENTATION = """
name: environment_secrets
short_description: Reads many secrets of one environment from Vault
description:
  - Reads secrets (KV version 2) with one login and returns them as one dictionary by path.
  - The result omits missing secrets.
  - The action plugin of the same name uses this lookup to log in.
  - Accepts all connection and login options of the C(community.hashi_vault) collection.
requirements: [hvac]
extends_documentation_fragment:
  - community.hashi_vault.connection
  - community.hashi_vault.connection.plugins
  - community.hashi_vault.auth
  - community.hashi_vault.auth.plugins
options:
  _terms:
    description: Paths of secrets, relative to the environment, for example C(kratos/login/blue).
    type: str
    required: true
  environment_name:
    description: The environment, the first part of each secret's path.
    type: str
    required: true
  mount:
    description: The mount point of the secrets engine.
    type: str
    default: greenroom
"""

EXAMPLES = """
- name: Read two secrets
  ansible.builtin.set_fact:
    __values: "{{ lookup('environment_secrets', 'kratos/login/blue', 'environment/registry', environment_name='staging',
      url='https://vault.example.com', auth_method='token', token=my_token) }}"
  no_log: true
"""

RETURN = """
_raw:
  description: One dictionary, C({path -> content}).
  type: list
  elements: dict
"""

from collections.abc import Iterable
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.greenroom.controller.vault.refusals import explain
from ansible.module_utils.greenroom.controller.vault.secrets import Secrets, VaultError
from ansible_collections.community.hashi_vault.plugins.module_utils._hashi_vault_common import HashiVaultValueError
from ansible_collections.community.hashi_vault.plugins.plugin_utils._hashi_vault_lookup_base import HashiVaultLookupBase


class LookupModule(HashiVaultLookupBase):  # type: ignore[misc]
    """Logs in once with the collection's code, then reads each path."""

    def run(self, terms: Iterable[str], variables: Any = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return [{path: content}]. Errors are one line that says what to do."""
        secrets = self.login(variables, **kwargs)
        try:
            return [secrets.read(terms)]
        except VaultError as problem:
            raise self.error(problem) from None

    def login(self, variables: Any, **kwargs: Any) -> Secrets:
        """Log in with the given options and return the environment's secrets."""
        try:
            self.set_options(direct=kwargs, var_options=variables)
            self.connection_options.process_connection_options()
            self.authenticator.validate()
            client = self.helper.get_vault_client(**self.connection_options.get_hvac_connection_options())
        except (HashiVaultValueError, NotImplementedError, AnsibleError) as error:
            raise AnsibleError(f"Vault: {error}; check secrets_url and secrets_auth") from None
        try:
            self.authenticator.authenticate(client)
        except Exception as error:
            raise self.error(error, f"the login ({self.get_option('auth_method')})") from None
        missing = self.helper.get_hvac().exceptions.InvalidPath
        return Secrets(client, self.get_option("mount"), self.get_option("environment_name"), missing)

    def error(self, problem: BaseException, doing: str | None = None) -> AnsibleError:
        """Return a Vault failure as an error of one line."""
        cause = problem.__cause__ if isinstance(problem, VaultError) else problem
        return AnsibleError(explain(cause or problem, str(self.get_option("url")), doing or str(problem)))
