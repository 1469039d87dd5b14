# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module notification, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: notification
short_description: Send an event to a webhook or by mail
version_added: "1.0.0"
description:
  - Sends O(event) to O(url) as JSON, or by mail to the addresses in O(to), or both.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.no_diff
  - greenroom.request
options:
  event:
    description: What happened. It needs the keys C(environment), C(event) and C(text).
    type: dict
    required: true
  url:
    description: The webhook's address. C($secret) stands for O(secret).
    type: str
    default: ""
  secret:
    description: The secret part of O(url).
    type: str
    default: ""
  ca_file:
    description: File with CA certificates to trust besides the system's.
    type: path
  to:
    description: Mail addresses.
    type: list
    elements: str
    default: []
  sender:
    description: The sender's mail address.
    type: str
    default: ""
  host:
    description: The mail server.
    type: str
    default: ""
  port:
    description: The mail server's port.
    type: int
    default: 25
  timeout:
    default: 10
attributes:
  check_mode:
    description: Sends nothing.
    support: full
"""

EXAMPLES = r"""
- name: Notify the operators
  notification:
    event: {environment: staging, event: start, text: green gets 5 % of public traffic}
    url: https://hooks.example.org/services/$secret
    secret: "{{ webhook_secret }}"
"""

RETURN = r"""
sent:
  description: Where the event was sent, C(webhook) and C(mail).
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.common import web
from ansible.module_utils.greenroom.notify import send

ARGUMENTS: dict[str, Any] = {
    "event": {"type": "dict", "required": True},
    # Many webhooks have all that protects them in their address.
    "url": {"type": "str", "default": "", "no_log": True},
    "secret": {"type": "str", "default": "", "no_log": True},
    "ca_file": {"type": "path"},
    "to": {"type": "list", "elements": "str", "default": []},
    "sender": {"type": "str", "default": ""},
    "host": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 25},
    "timeout": {"type": "float", "default": 10},
}


def main() -> None:
    """Send the event."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given, sent = module.params, []
    if module.check_mode:
        module.exit_json(changed=False, sent=[])
    try:
        if given["url"]:
            network = web.Network(ca_file=given["ca_file"], public=True)
            send.post(given["url"].replace("$secret", given["secret"]), given["event"], network, given["timeout"])
            sent.append("webhook")
        if given["to"]:
            server = given["host"], given["port"]
            send.mail(server, given["sender"], given["to"], given["event"], given["timeout"])
            sent.append("mail")
    except send.NotifyError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, sent=sent)


if __name__ == "__main__":
    main()
