# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module identity_info, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_info
short_description: List the sets of synthetic users in Ory Kratos
version_added: "1.0.0"
description:
  - Counts the users of each set that C(identity_seed) created, from the marks in C(metadata_admin). Finds users of a
    set that was renamed or is no longer in any inventory.
  - Changes nothing. Compares logins and content with the marks, but not signatures and passwords, as C(identity_seed)
    does.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.kratos
  - greenroom.request
  - greenroom.no_diff
options:
  connections:
    description: How many requests to send in parallel.
    type: int
    default: 2
  timeout:
    default: 60
  deadline:
    description: Timeout of the task in seconds.
    type: float
    default: 600
attributes:
  check_mode:
    description: Does the same in check mode.
    support: full
"""

EXAMPLES = r"""
- name: List the sets
  identity_info:
    url: http://127.0.0.1:14434
  register: there
"""

RETURN = r"""
sets:
  description:
    - For each set, the number of C(users), and how many of them are C(personas), are C(unsigned), or have C(drifted),
      which means that they were changed by hand. C(unproven) are other identities whose mark names a login that they
      don't have, since it was changed by hand or the mark is a copy.
    - Also the C(seeds) and the C(domains) of the users.
  returned: success
  type: dict
  sample:
    people:
      {users: 110, personas: 10, unsigned: 0, drifted: 1, unproven: 0, seeds: ["1"], domains: [people.staging.invalid]}
others:
  description: How many identities have no mark.
  returned: success
  type: int
total:
  description: How many identities there are.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.common import web
from ansible.module_utils.greenroom.people import options, sets, users
from ansible.module_utils.greenroom.people.client import ServerError
from ansible.module_utils.greenroom.people.servers import SERVERS


def main() -> None:
    """List the sets."""
    module = AnsibleModule(
        argument_spec={
            **options.SERVER,
            "connections": {"type": "int", "default": 2},
            "timeout": {"type": "float", "default": 60},
            "deadline": {"type": "float", "default": 600},
        },
        supports_check_mode=True,
    )
    given = module.params
    secrets = options.secrets_of(module)
    if not 1 <= given["connections"] <= 32:
        module.fail_json(msg=f"connections must be 1 to 32, not {given['connections']}")
    try:
        server = SERVERS[given["server"]](
            given["url"], given["timeout"], web.Deadline(given["deadline"]), access=options.access_of(given, secrets)
        )
        server.ask_version()
        found = sets.sets_in(server.everybody(given["connections"]))
    except (ServerError, users.UsersError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
