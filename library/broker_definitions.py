# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module broker_definitions, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: broker_definitions
short_description: Configure the vhost, queues and logins of a RabbitMQ server
version_added: "1.0.0"
description:
  - Each queue is a quorum queue with an exchange of the same name, a dead-letter queue C(<name>.dead), and a policy
    that limits how often a job is delivered.
  - A login can't configure anything. It publishes to the queues in its C(write), and consumes those in its C(read).
  - Passwords are compared with the hashes that the server stores, and are only sent as hashes.
  - Removes the user C(guest), whose password is publicly known. Keeps all other objects that aren't listed.
  - Reads from the server with Erlang's C(erl_call), or with C(rabbitmqctl) if that fails. Changes it with
    C(rabbitmqctl). Runs on the server's host.
author: Greenroom developers (!UNKNOWN)
options:
  vhost:
    description: The queues' vhost.
    type: str
    required: true
  queues:
    description: The queues, C({name} → {delivery_limit}).
    type: dict
    default: {}
  logins:
    description: The logins, C({name} → {write, read}), both lists of queues.
    type: dict
    default: {}
  passwords:
    description: The logins' passwords, C({name} → password).
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Reads the server's state and reports what would change.
  diff_mode:
    support: full
    description: Shows what is created, changed or removed, by kind and name.
"""

EXAMPLES = r"""
- name: Configure queues and logins
  broker_definitions:
    vhost: staging
    queues:
      receipts: {delivery_limit: 20}
    logins:
      worker_blue: {write: [], read: [receipts]}
    passwords:
      worker_blue: "{{ secrets_values['worker/broker/blue'].password }}"
"""

RETURN = r"""
definitions:
  description: What was created, changed or removed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: ["queues receipts", "users worker_blue"]
"""

import json
import os
import pwd
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.data import broker

PROGRAM = "rabbitmqctl"
# Erlang's tool to call a server takes 0.05 s. rabbitmqctl takes a second or two, because it starts Erlang first.
QUICK = "erl_call"
# The name that roles/broker configures.
NODE = "rabbit@localhost"
# The call that `rabbitmqctl export_definitions` makes.
DEFINITIONS = "io:put_chars(rabbit_json:encode(rabbit_definitions:all_definitions()))."
FOLDER = "/var/lib/rabbitmq"
SERVER = "rabbitmq"
START_SECONDS = 60


def call(module: AnsibleModule, doing: str, *words: str) -> str:
    """Return the output of the server's tool; fail with a message that names the action."""
    code, answer, complaint = module.run_command([PROGRAM, "-q", *words])
    # The server may just be starting. Wait for it, then try again.
    if code != 0 and module.run_command([PROGRAM, "-q", "await_startup", "--timeout", str(START_SECONDS)])[0] == 0:
        code, answer, complaint = module.run_command([PROGRAM, "-q", *words])
    if code != 0:
        said = " ".join((complaint or answer).split())
        module.fail_json(msg=f"RabbitMQ can't {doing}: {said}", definitions=[])
    return str(answer)


def quick_export(module: AnsibleModule) -> dict[str, Any] | None:
    """Return all definitions of the server, or None if erl_call can't get them."""
    program = module.get_bin_path(QUICK)
    if program is None:
        return None
    become = ["setpriv", f"--reuid={SERVER}", f"--regid={SERVER}", "--init-groups"]
    command = [*become, program, "-sname", NODE, "-fetch_stdout", "-no_result_term", "-e"]
    # The Erlang cookie is in the server's home folder.
    options = {"cwd": FOLDER, "environ_update": {"HOME": FOLDER}, "handle_exceptions": False}
    try:
        code, answer, _complaint = module.run_command(command, data=DEFINITIONS, **options)
        found = json.loads(answer) if code == 0 else None
    # If the tool can't reach the server, it may end before it has read its input.
    except (BrokenPipeError, ValueError):
        return None
    return found if isinstance(found, dict) and "users" in found else None


def export(module: AnsibleModule) -> dict[str, Any]:
    """Return all definitions of the server."""
    quick = quick_export(module)
    if quick is not None:
        return quick
    found: dict[str, Any] = json.loads(call(module, "export its definitions", "export_definitions", "-"))
    return found


def import_(module: AnsibleModule, definitions: broker.Definitions) -> None:
    """Import definitions from a file that only the server can read, because its tool can't read standard input."""
    with tempfile.NamedTemporaryFile("w", prefix=".greenroom-", dir=FOLDER) as file:
        server = pwd.getpwnam(SERVER)
        os.fchown(file.fileno(), server.pw_uid, server.pw_gid)
        json.dump(definitions, file)
        file.flush()
        call(module, "import its definitions", "import_definitions", file.name)


def main() -> None:
    """Compare, change and compare again: an import doesn't report objects that it could not change."""
    module = AnsibleModule(
        argument_spec={
            "vhost": {"type": "str", "required": True},
            "queues": {"type": "dict", "default": {}},
            "logins": {"type": "dict", "default": {}},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    wanted = {key: module.params[key] for key in ("vhost", "queues", "logins", "passwords")}
    without = sorted(set(wanted["logins"]) - set(wanted["passwords"]))
    if without:
        module.fail_json(msg=f"passwords: add a password for {', '.join(without)}", definitions=[])
    current = export(module)
    plan, strangers = broker.plan(wanted, current), broker.strangers(current)
    said = [*broker.lines(plan), *(f"users {name} (removed)" for name in strangers)]
    if not module.check_mode and said:
        for name in strangers:
            call(module, f"remove the user {name}", "delete_user", name)
        if plan:
            import_(module, plan)
        left = broker.lines(broker.plan(wanted, export(module)))
        if left:
            module.fail_json(
                msg=f"RabbitMQ has other objects with these names and keeps them: {', '.join(left)}; "
                "delete them in RabbitMQ, then run this again",
                definitions=said,
            )
    shown = {"diff": {"prepared": "".join(f"{line}\n" for line in said)}} if module._diff and said else {}
    module.exit_json(changed=bool(said), definitions=said, **shown)


if __name__ == "__main__":
    main()
