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
  - Runs C(psql) as the user that the task becomes. The user must be a superuser of the server.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.server
options:
  databases:
    description: The databases, C({name} → {logins} → {login} → its password).
    type: dict
    default: {}
  readers:
    description: Logins that may read all databases, C({login} → its password).
    type: dict
    default: {}
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

import json
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.data import postgres

PSQL = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse", "-f", "-"]
# The database for statements about the server itself.
MAINTENANCE = "postgres"
# Otherwise, the server would log failed statements with the verifiers in them.
ENVIRONMENT = {
    "PGCLIENTENCODING": "UTF8",
    "PGOPTIONS": "-c log_min_error_statement=panic -c log_statement=none -c log_min_duration_statement=-1",
}


class NoAnswerError(Exception):
    """The server refused a statement; the text is its error message, without secrets."""


def psql(module: AnsibleModule, statement: str, what: str, database: str = MAINTENANCE) -> str:
    """Return a statement's result, or raise `NoAnswerError` with the error message; `what` describes the action."""
    command = [*PSQL, "-d", database]
    code, answer, complaint = module.run_command(command, data=f"{statement};\n", environ_update=ENVIRONMENT)
    if code != 0:
        said = re.sub(r"^psql:(<stdin>:\d+:)?\s*", "", complaint.strip())
        raise NoAnswerError(postgres.without_verifiers(f"PostgreSQL can't {what}: {said}"))
    return str(answer)


def answers(module: AnsibleModule) -> dict[str, Any]:
    """Return the results of the queries: {database: [row as a dictionary]}."""
    found = {}
    for database, query in module.params["ask"].items():
        try:
            answer = psql(module, postgres.rows_query(query), f"run {query!r} in {database}", database)
        except NoAnswerError:
            if module.params["ask_strictly"]:
                raise
        else:
            found[database] = json.loads(answer)
    return found


def main() -> None:
    """Compare the server with the wanted state and change what differs."""
    module = AnsibleModule(
        argument_spec={
            "databases": {"type": "dict", "default": {}, "no_log": True},
            "readers": {"type": "dict", "default": {}, "no_log": True},
            "ask": {"type": "dict", "default": {}},
            "ask_strictly": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**apply(module))
    except NoAnswerError as error:
        module.fail_json(msg=str(error), statements=[], waiting=[])


def apply(module: AnsibleModule) -> dict[str, Any]:
    """Converge the server, or predict the changes in check mode; return the module's result."""
    wanted = {key: module.params[key] for key in ("databases", "readers")}
    state: dict[str, Any] = json.loads(psql(module, postgres.state_query(wanted), "read its state"))
    plan = postgres.plan(wanted, state)
    if not module.check_mode:
        for statement in plan:
            psql(module, statement, statement)
    statements = [postgres.without_verifiers(statement) for statement in plan]
    shown = {"diff": {"prepared": "".join(f"{line}\n" for line in statements)}} if module._diff and plan else {}
    found = {"statements": statements, "waiting": state["waiting"], "answers": answers(module)}
    return {"changed": bool(plan), **found, **shown}


if __name__ == "__main__":
    main()
