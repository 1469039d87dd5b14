# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module identity_export, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_export
short_description: Return a table of synthetic users with their traits
version_added: "1.0.0"
description:
  - Returns a CSV table of the users that C(identity_seed) has listed in its O(people_file), with the state, the
    verification and the traits that Kratos has now. Changes nothing.
  - Identities without the mark of the set are left out.
  - The columns are C(key), C(login), C(id), C(state), C(verified), and one for each trait, such as
    C(traits.name.first). Lists are JSON. Text that a spreadsheet would calculate gets an apostrophe in front.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.kratos
  - greenroom.request
options:
  set:
    description: Name of the set.
    type: str
    required: true
  people_file:
    description: The file of that name of C(identity_seed).
    type: path
    required: true
  limit:
    description: How many numbered users to return, from the first on. Personas are always returned.
    type: int
    default: 1000
  timeout:
    default: 60
attributes:
  check_mode:
    description: Only reads, so it does the same.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference.
    support: none
"""

EXAMPLES = r"""
- name: Read the users for testers
  identity_export:
    url: http://127.0.0.1:14434
    set: people
    people_file: /var/lib/greenroom/seed/people.jsonl
  register: found
"""

RETURN = r"""
content:
  description: The table.
  returned: success
  type: str
users:
  description: How many users it has.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.common import web
from ansible.module_utils.greenroom.people import export, options, users
from ansible.module_utils.greenroom.people.client import ServerError
from ansible.module_utils.greenroom.people.servers import SERVERS

DEADLINE = 300.0
ARGUMENTS = {
    **options.SERVER,
    "set": {"type": "str", "required": True},
    "people_file": {"type": "path", "required": True},
    "limit": {"type": "int", "default": 1000},
    "timeout": {"type": "float", "default": 60},
}


def main() -> None:
    """Return the table."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    secrets = options.secrets_of(module)
    try:
        access = options.access_of(given, secrets)
        server = SERVERS[given["server"]](given["url"], given["timeout"], web.Deadline(DEADLINE), access=access)
        content, count = export.table(server, given["people_file"], given["set"], given["limit"])
    except (ServerError, export.ExportError, users.UsersError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, content=content, users=count)


if __name__ == "__main__":
    main()
