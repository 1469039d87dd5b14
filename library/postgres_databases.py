# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module postgres_databases; its documentation is data below."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_databases
short_description: Bring a PostgreSQL server's databases and logins to their wanted state
version_added: "1.0.0"
description:
  - Each database has an owner role of its name that can't log in, and logins that act as the owner.
  - Passwords are compared with the verifiers that the server stores, and sent as verifiers (SCRAM-SHA-256) only.
    Neither is ever shown, also not by a statement that fails, and the server is told not to log its statements.
  - What is there and not wanted stays.
  - Runs C(psql) as the user that the task becomes, who must be a superuser of the server.
author: Greenroom developers (!UNKNOWN)
options:
  databases:
    description: The databases, C({name} → {logins} → {login} → its password).
    type: dict
    default: {}
  readers:
    description: Logins that may read everything, and their passwords.
    type: dict
    default: {}
  ask:
    description: What to ask databases afterwards, C({database} → a query). It can't change anything.
    type: dict
    default: {}
  ask_strictly:
    description: Whether a query that gets no answer is a failure. Otherwise it is left out of RV(answers).
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Reads the server's state, and says what would be done.
  diff_mode:
    support: full
    description: Shows the statements, without verifiers.
"""

EXAMPLES = r"""
- name: Bring databases and logins to their wanted state
  postgres_databases:
    databases:
      shop:
        logins:
          shop_blue: "{{ secrets_values['shop/login/blue'].password }}"
    readers:
      backup: "{{ secrets_values['environment/value/backup'].value }}"
  become: true
  become_user: postgres

- name: Ask which migrations a database has
  postgres_databases:
    ask:
      shop: SELECT version_num FROM alembic_version ORDER BY version_num
  become: true
  become_user: postgres
"""

RETURN = r"""
statements:
  description: The statements that were run, or in check mode would be, without verifiers.
  returned: always
  type: list
  elements: str
  sample: ["ALTER ROLE \"shop_blue\" LOGIN PASSWORD '…'"]
waiting:
  description: The server's settings that wait for its restart.
  returned: always
  type: list
  elements: str
answers:
  description: The rows that each query of O(ask) gave, each a dictionary.
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
# Where the server's own state is asked and changed.
MAINTENANCE = "postgres"
# A server writes a statement that failed into its log, with all that is in it.
ENVIRONMENT = {
    "PGCLIENTENCODING": "UTF8",
    "PGOPTIONS": "-c log_min_error_statement=panic -c log_statement=none -c log_min_duration_statement=-1",
}


class NoAnswerError(Exception):
    """The server refused a statement; the text is its complaint, without secrets."""


def psql(module: AnsibleModule, statement: str, what: str, database: str = MAINTENANCE) -> str:
    """Return a database's answer to a statement, or raise `NoAnswerError` with its complaint about `what`."""
    command = [*PSQL, "-d", database]
    code, answer, complaint = module.run_command(command, data=f"{statement};\n", environ_update=ENVIRONMENT)
    if code != 0:
        said = re.sub(r"^psql:(<stdin>:\d+:)?\s*", "", complaint.strip())
        raise NoAnswerError(postgres.without_verifiers(f"PostgreSQL can't {what}: {said}"))
    return str(answer)


def answers(module: AnsibleModule) -> dict[str, Any]:
    """Return what databases answer: {database: [row as a dictionary]}."""
    found = {}
    for database, query in module.params["ask"].items():
        try:
            answer = psql(module, postgres.rows_query(query), f"answer {query!r} about {database}", database)
        except NoAnswerError:
            if module.params["ask_strictly"]:
                raise
        else:
            found[database] = json.loads(answer)
    return found


def main() -> None:
    """Compare and mend."""
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
    """Bring the server to its wanted state, or in check mode say how; return the module's result."""
    wanted = {key: module.params[key] for key in ("databases", "readers")}
    state: dict[str, Any] = json.loads(psql(module, postgres.state_query(wanted), "say what there is"))
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
