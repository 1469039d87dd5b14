# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module valkey_logins, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: valkey_logins
short_description: Configure the logins of a Valkey server
version_added: "1.3.0"
description:
  - Each login may use keys and channels with its prefix only, and can't see or change the server or other clients.
  - The server stores hashes of passwords, and neither appears in output. Keeps logins that aren't listed.
  - Writes the server's ACL file, C(/etc/valkey/users.acl), and makes it read the file. Other logins' connections stay.
    The first time, it restarts the server.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.server
options:
  logins:
    description:
      - The logins, C({name} → {password, prefix}). One with C(kept) is created if it is missing, and never changed.
    type: dict
    default: {}
attributes:
  diff_mode:
    support: full
    description: Shows the names of logins.
"""

EXAMPLES = r"""
- name: Configure the login of a slot
  valkey_logins:
    logins:
      shop_blue: {password: "{{ secrets_values['shop/cache/blue'].password }}", prefix: "shop:"}
"""

RETURN = r"""
logins:
  description: The logins that were created or changed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [shop_blue]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.data_stores import valkey


def main() -> None:
    """Converge the server's logins."""
    module = AnsibleModule(
        argument_spec={"logins": {"type": "dict", "default": {}, "no_log": True}}, supports_check_mode=True
    )
    try:
        changed = valkey.converge(module.run_command, module.params["logins"], module.check_mode)
    except (valkey.CacheError, OSError) as error:
        module.fail_json(msg=str(error), logins=[])
    shown = {"diff": {"prepared": "".join(f"login {login}\n" for login in changed)}} if module._diff and changed else {}
    module.exit_json(changed=bool(changed), logins=changed, **shown)


if __name__ == "__main__":
    main()
