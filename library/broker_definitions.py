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
extends_documentation_fragment:
  - greenroom.server
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
  kept:
    description: Names of O(logins) that are created if they are missing, and never changed.
    type: list
    elements: str
    default: []
attributes:
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

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.data_stores import broker_server


def main() -> None:
    """Converge the server's definitions."""
    module = AnsibleModule(
        argument_spec={
            "vhost": {"type": "str", "required": True},
            "queues": {"type": "dict", "default": {}},
            "logins": {"type": "dict", "default": {}},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            "kept": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    wanted = {key: module.params[key] for key in ("vhost", "queues", "logins", "passwords", "kept")}
    server = broker_server.Server(module.run_command, module.get_bin_path(broker_server.QUICK))
    try:
        said = broker_server.converge(server, wanted, module.check_mode)
    except broker_server.BrokerError as error:
        module.fail_json(msg=str(error), definitions=error.definitions)
    shown = {"diff": {"prepared": "".join(f"{line}\n" for line in said)}} if module._diff and said else {}
    module.exit_json(changed=bool(said), definitions=said, **shown)


if __name__ == "__main__":
    main()
