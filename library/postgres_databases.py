# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module postgres_databases, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_databases
short_description: Configure the databases and logins of a PostgreSQL server
version_added: "1.0.0"
description:
  - Each database has an owner role with the database's name that can't log in, and logins that act as the owner.
  - Passwords are compared with the verifiers that the server stores, and are only sent as verifiers (SCRAM-SHA-256).
    Neither appears in output, not even if a statement fails, and the server doesn't log these statements.
  - Keeps databases and logins that aren't listed.
  - Runs C(psql) as the user that the task becomes, who must be a superuser of the host's server; or, with O(server), as
    an administrator of a server elsewhere, who must be able to create roles and databases (C(CREATEROLE CREATEDB)).
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.server
options:
  databases:
    description:
      - The databases, C({name} → {logins} → {login} → its password). With C(kept) instead of C(logins), a login is
        created if it is missing, and never changed.
    type: dict
    default: {}
  readers:
    description: Logins that may read all databases, C({login} → its password).
    type: dict
    default: {}
  extensions:
    description: Extensions that databases need, C({database} → a list of names). They are created after the databases.
    type: dict
    default: {}
  encoding:
    description:
      - The encoding of all databases, such as V(UTF8). The module fails if one that exists has another encoding.
      - If empty, new databases have the server's, and the module compares nothing.
    type: str
    default: ""
  locale:
    description: The locale of all databases, such as V(C.UTF-8); the same as with O(encoding).
    type: str
    default: ""
  lock_timeouts:
    description:
      - C({database} → how long a statement of its logins may wait for a lock), such as V(5s). Other statements queue
        behind one that waits. For databases of O(databases) that it doesn't name, such a timeout is removed.
    type: dict
    default: {}
  unfinished_indexes:
    description:
      - Databases in which to drop indexes that a killed C(CREATE INDEX CONCURRENTLY) left unusable. Indexes that are
        being built stay.
    type: list
    elements: str
    default: []
  server:
    description: A server elsewhere. Without it, the server is the host's own.
    type: dict
    default: {}
    suboptions:
      host:
        description: The server's name, which its certificate is for. Empty for the host's own server.
        type: str
      address:
        description: The server's IP address, if the host can't resolve the name.
        type: str
      port:
        description: The server's port.
        type: int
        default: 5432
      user:
        description: The administrator's login.
        type: str
      password:
        description: The administrator's password.
        type: str
      ca:
        description: >-
          The certificates to verify the server's with, PEM. By default, those in C(/etc/greenroom/ca.crt) on the host.
        type: str
      sslmode:
        description: How to verify the server, as libpq reads it.
        type: str
        default: verify-full
  ask:
    description: Queries to run afterwards, C({database} → a query). They can't change anything.
    type: dict
    default: {}
  ask_strictly:
    description: Whether the module fails if a query of O(ask) fails. Otherwise, RV(answers) lacks its result.
    type: bool
    default: true
attributes:
  diff_mode:
    support: full
    description: Shows the statements, without verifiers.
"""

EXAMPLES = r"""
- name: Configure databases and logins
  postgres_databases:
    databases:
      shop:
        logins:
          shop_blue: "{{ secrets_values['shop/login/blue'].password }}"
    readers:
      backup: "{{ secrets_values['environment/value/backup'].value }}"
    extensions:
      shop: [pg_trgm]
  become: true
  become_user: postgres

- name: Query the migrations of a database
  postgres_databases:
    ask:
      shop: SELECT version_num FROM alembic_version ORDER BY version_num
  become: true
  become_user: postgres
"""

RETURN = r"""
statements:
  description: The statements that ran, or would run in check mode, without verifiers.
  returned: always
  type: list
  elements: str
  sample: ["ALTER ROLE \"shop_blue\" LOGIN PASSWORD '…'"]
waiting:
  description: The server's settings that take effect after a restart.
  returned: always
  type: list
  elements: str
answers:
  description: The rows of each query in O(ask), each one a dictionary.
  returned: success
  type: dict
  sample: {shop: [{version_num: "0004"}]}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.data_stores import postgres_server

# A server elsewhere.
SERVER = {
    "host": {"type": "str"},
    "address": {"type": "str"},
    "port": {"type": "int", "default": 5432},
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "ca": {"type": "str"},
    "sslmode": {"type": "str", "default": "verify-full"},
}


def main() -> None:
    """Compare the server with the wanted state and change what differs."""
    module = AnsibleModule(
        argument_spec={
            "databases": {"type": "dict", "default": {}, "no_log": True},
            "readers": {"type": "dict", "default": {}, "no_log": True},
            "extensions": {"type": "dict", "default": {}},
            "encoding": {"type": "str", "default": ""},
            "locale": {"type": "str", "default": ""},
            "lock_timeouts": {"type": "dict", "default": {}},
            "unfinished_indexes": {"type": "list", "elements": "str", "default": []},
            "server": {"type": "dict", "default": {}, "options": SERVER},
            "ask": {"type": "dict", "default": {}},
            "ask_strictly": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        found = postgres_server.converge(module.run_command, module.params, module.check_mode)
    except postgres_server.NoAnswerError as error:
        module.fail_json(msg=str(error), statements=[], waiting=[])
    statements = found["statements"]
    lines = "".join(f"{line}\n" for line in statements)
    shown = {"diff": {"prepared": lines}} if module._diff and statements else {}
    module.exit_json(changed=bool(statements), **found, **shown)


if __name__ == "__main__":
    main()
