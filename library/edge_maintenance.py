# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module edge_maintenance, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: edge_maintenance
short_description: Show visitors a maintenance page
version_added: "1.0.0"
description:
  - Sets a map of HAProxy on disk and in all of its workers, without a reload. Its configuration then answers requests
    for the services in the map with status 503. Testers who choose a slot still get in.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.haproxy
options:
  enabled:
    description: Whether visitors get the page. Without it, the module changes nothing.
    type: bool
  service:
    description:
      - The service. C(*) stands for everything, which ends the maintenance of single services, too.
    type: str
    default: "*"
  back_seconds:
    description: After how many seconds programs should try again (C(Retry-After)).
    type: int
    default: 120
  map_file:
    description: Path of the map file, exactly as in HAProxy's configuration.
    type: path
    default: /etc/haproxy/maps/maintenance.map
attributes:
  check_mode:
    description: Reads the map and predicts the result. Writes nothing.
    support: full
  diff_mode:
    description: Shows what is in maintenance before and after.
    support: full
"""

EXAMPLES = r"""
- name: Show the maintenance page for the shop
  edge_maintenance:
    service: shop
    enabled: true
    back_seconds: 600
"""

RETURN = r"""
maintenance:
  description: What is in maintenance, each service with the seconds of its C(Retry-After). C(*) is everything.
  returned: success
  type: dict
  sample: {shop: "600"}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.switch import haproxy, maintenance

ARGUMENTS: dict[str, Any] = {
    "enabled": {"type": "bool"},
    "service": {"type": "str", "default": maintenance.EVERYTHING},
    "back_seconds": {"type": "int", "default": 120},
    "map_file": {"type": "path", "default": "/etc/haproxy/maps/maintenance.map"},
    **haproxy.SOCKETS,
}


def main() -> None:
    """Set the map."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if given["back_seconds"] < 1:
        module.fail_json(msg="back_seconds must be 1 or more")
    maps = maintenance.Maps(given["map_file"], given["socket"], given["master_socket"])
    try:
        before = after = maintenance.read(maps.map_file)
        changed = False
        if given["enabled"] is not None:
            after = maintenance.wanted(before, given["service"], given["enabled"], given["back_seconds"])
            changed = maintenance.apply(maps, after, module.check_mode)
    except (OSError, haproxy.SocketError) as error:
        module.fail_json(msg=str(error))
    diff = {"before": maintenance.shown(before), "after": maintenance.shown(after)}
    module.exit_json(changed=changed, maintenance=after, diff=diff)


if __name__ == "__main__":
    main()
