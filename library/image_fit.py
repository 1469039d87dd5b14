# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module image_fit, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_fit
short_description: Find out whether images can run as their services say
version_added: "1.0.0"
description:
  - Compares the configuration of images, which this host has pulled, with what services say of them. Fails if a
    container would not start at all, because the image is for another architecture, lacks the user or the group, or
    has nothing to start.
  - Reports what an image wants differently, such as another user, a volume, or another port.
  - Changes nothing.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.no_diff
options:
  services:
    description: The services.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The service's name.
        type: str
        required: true
      image:
        description: Its image.
        type: str
        required: true
      user:
        description: The user that it runs as, a number or a name, perhaps with C(:) and a group.
        type: str
        default: "1000"
      user_given:
        description: Whether the service says so itself, so that the image's user doesn't matter.
        type: bool
        default: false
      starts:
        description: Whether the service has an entry point or a command of its own.
        type: bool
        default: false
      ports:
        description: The ports inside the container.
        type: list
        elements: int
        default: []
      mounted:
        description: The paths in the container with something mounted.
        type: list
        elements: str
        default: []
attributes:
  check_mode:
    description: An image that was not pulled is left out.
    support: full
"""

EXAMPLES = r"""
- name: Find out whether the image fits
  image_fit:
    services:
      - name: shop
        image: registry.example/shop@sha256:8a1f...
        ports: [8080]
"""

RETURN = r"""
notes:
  description: What images want differently, one line for each service.
  returned: success
  type: list
  elements: str
  sample: ["shop: the image wants user shop (991), and runs as 1000 (`user: 991`)"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.images.fit import FitError, Wanted, judge

SERVICE: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "user": {"type": "str", "default": "1000"},
    "user_given": {"type": "bool", "default": False},
    "starts": {"type": "bool", "default": False},
    "ports": {"type": "list", "elements": "int", "default": []},
    "mounted": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    """Judge each image, and fail if one can't run."""
    module = AnsibleModule(
        argument_spec={"services": {"type": "list", "elements": "dict", "required": True, "options": SERVICE}},
        supports_check_mode=True,
    )
    services = [Wanted(**given) for given in module.params["services"]]
    if module.check_mode:
        images = {service.image for service in services}
        pulled = {image for image in images if not module.run_command(["podman", "image", "exists", image])[0]}
        services = [service for service in services if service.image in pulled]
    try:
        refused, notes = judge(module.run_command, services)
    except FitError as error:
        module.fail_json(msg=str(error))
    if refused:
        module.fail_json(msg="Nothing was deployed: " + "\n".join(refused))
    module.exit_json(changed=False, notes=notes)


if __name__ == "__main__":
    main()
