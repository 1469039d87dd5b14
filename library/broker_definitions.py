# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module broker_definitions; its documentation is data below."""

from __future__ import annotations

DOCUMENTATION = r"""
module: broker_definitions
short_description: Bring a RabbitMQ server's vhost, queues and logins to their wanted state
version_added: "1.0.0"
description:
  - Each queue is a quorum queue that the exchange of its name leads to, with a dead-letter queue C(<name>.dead) and a
    policy that limits how often a job is given out.
  - A login may configure nothing. It publishes to the queues in its C(write), and takes jobs from those in its C(read).
  - Passwords are compared with the hashes that the server stores, and sent as hashes only.
  - The user C(guest), whose password everybody knows, is removed. Whatever else is there and not wanted stays.
  - Asks the server with Erlang's C(erl_call), or with C(rabbitmqctl) where that gives no answer, and changes it with
    C(rabbitmqctl). Runs on the server's host.
author: Greenroom developers (!UNKNOWN)
options:
  vhost:
    description: The vhost of the queues.
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
    description: Reads the server's state, and says what would be done.
  diff_mode:
    support: full
    description: Shows what is made or changed, by kind and name.
"""

EXAMPLES = r"""
- name: Bring queues and logins to their wanted state
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
  description: What was made, changed or removed, or in check mode would be.
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
# Erlang's own way to call a server: 0.05 s, where rabbitmqctl starts an Erlang first, which takes a second or two.
QUICK = "erl_call"
# As roles/broker calls it.
NODE = "rabbit@localhost"
# What rabbitmqctl export_definitions asks.
DEFINITIONS = "io:put_chars(rabbit_json:encode(rabbit_definitions:all_definitions()))."
FOLDER = "/var/lib/rabbitmq"
SERVER = "rabbitmq"
START_SECONDS = 60


def call(module: AnsibleModule, doing: str, *words: str) -> str:
    """Return what the server's tool says; fail, naming what was being done, when it can't."""
    code, answer, complaint = module.run_command([PROGRAM, "-q", *words])
    # One that only just starts is waited for.
    if code != 0 and module.run_command([PROGRAM, "-q", "await_startup", "--timeout", str(START_SECONDS)])[0] == 0:
        code, answer, complaint = module.run_command([PROGRAM, "-q", *words])
    if code != 0:
        said = " ".join((complaint or answer).split())
        module.fail_json(msg=f"RabbitMQ can't {doing}: {said}", definitions=[])
    return str(answer)


def quick_export(module: AnsibleModule) -> dict[str, Any] | None:
    """Return all definitions that the server has, or None where they can't be had this way."""
    program = module.get_bin_path(QUICK)
    if program is None:
        return None
    become = ["setpriv", f"--reuid={SERVER}", f"--regid={SERVER}", "--init-groups"]
    command = [*become, program, "-sname", NODE, "-fetch_stdout", "-no_result_term", "-e"]
    # The cookie that lets it in lies in the server's home.
    options = {"cwd": FOLDER, "environ_update": {"HOME": FOLDER}, "handle_exceptions": False}
    try:
        code, answer, _complaint = module.run_command(command, data=DEFINITIONS, **options)
        found = json.loads(answer) if code == 0 else None
    # A tool that reaches no server may end before it has read the question.
    except (BrokenPipeError, ValueError):
        return None
    return found if isinstance(found, dict) and "users" in found else None


def export(module: AnsibleModule) -> dict[str, Any]:
    """Return all definitions that the server has."""
    quick = quick_export(module)
    if quick is not None:
        return quick
    found: dict[str, Any] = json.loads(call(module, "say what there is", "export_definitions", "-"))
    return found


def import_(module: AnsibleModule, definitions: broker.Definitions) -> None:
    """Give definitions to the server, in a file that only it can read: its tool takes none from standard input."""
    with tempfile.NamedTemporaryFile("w", prefix=".greenroom-", dir=FOLDER) as file:
        server = pwd.getpwnam(SERVER)
        os.fchown(file.fileno(), server.pw_uid, server.pw_gid)
        json.dump(definitions, file)
        file.flush()
        call(module, "take its definitions", "import_definitions", file.name)


def main() -> None:
    """Compare and mend, and look again: an import says nothing of what it left as it was."""
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
        module.fail_json(msg=f"passwords: there is none for {', '.join(without)}", definitions=[])
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
                msg=f"RabbitMQ has something else by this name and leaves it: {', '.join(left)}; remove it there",
                definitions=said,
            )
    shown = {"diff": {"prepared": "".join(f"{line}\n" for line in said)}} if module._diff and said else {}
    module.exit_json(changed=bool(said), definitions=said, **shown)


if __name__ == "__main__":
    main()
