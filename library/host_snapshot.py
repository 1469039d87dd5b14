# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module host_snapshot, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_snapshot
short_description: Read what a host is like, to compare it with another one
version_added: "1.0.0"
description:
  - Reads system, kernel settings, packages, accounts, SSH, network, firewall, units, processes, files, containers,
    certificates, PostgreSQL, RabbitMQ, Prometheus and keys. Works on hosts that Greenroom did not build.
  - Changes nothing. Needs nothing but Python. Without root it reads what it may, and says what it could not see.
  - Returns no secret. Of files that not every account may read, it returns only the names of settings; keys are
    returned as fingerprints.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.no_diff
options:
  files:
    description: >-
      Patterns of the files to read. C(**) stands for any folders. A pattern that begins with C(!) leaves files out.
    type: list
    elements: str
    default: []
  certificates:
    description: Patterns of files with a certificate.
    type: list
    elements: str
    default: []
  names:
    description: Host names whose addresses the host is asked for.
    type: list
    elements: str
    default: []
  prometheus:
    description: The URL of Prometheus on the host. Nothing is read if nothing listens there.
    type: str
    default: http://127.0.0.1:9090
  alertmanager:
    description: The URL of Alertmanager on the host. Nothing is read if nothing listens there.
    type: str
    default: http://127.0.0.1:9093
attributes:
  check_mode:
    description: Does the same in check mode.
    support: full
"""

EXAMPLES = r"""
- name: Read what the hosts are like
  host_snapshot:
    files:
      - /etc/nginx/**
  register: found
"""

RETURN = r"""
parts:
  description:
    - For each part of the host, its C(items) by name, and the names of those that are C(unread), with the reason. The
      name C(*) stands for the rest of the part.
  returned: success
  type: dict
  sample:
    packages: {items: {openssl: 3.0.17-1}, unread: {}}
    rights: {items: {}, unread: {"*": only root can read this}}
root:
  description: Whether the module ran as root.
  returned: success
  type: bool
clock:
  description: The host's time in seconds since 1970.
  returned: success
  type: float
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.snapshot.reading import Options
from ansible.module_utils.greenroom.snapshot.take import take


def main() -> None:
    """Read the host."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "str", "default": []},
            "certificates": {"type": "list", "elements": "str", "default": []},
            "names": {"type": "list", "elements": "str", "default": []},
            "prometheus": {"type": "str", "default": "http://127.0.0.1:9090"},
            "alertmanager": {"type": "str", "default": "http://127.0.0.1:9093"},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **take(Options(**module.params)))


if __name__ == "__main__":
    main()
