# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module image_pull, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_pull
short_description: Pull images by digest, and report progress
version_added: "1.0.0"
description:
  - Pulls images with Podman, one after the other, in systemd units. A pull goes on if the connection to the host
    breaks. The next run waits for the same pull. Complete layers of a pull that failed stay on the host.
  - Images that the host has are not pulled again. If they must have a signature, Podman checks it each time.
  - If it takes long, the action prints how many bytes have arrived, at which rate, and the free space. A failure says
    so, too, and what to do.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.no_diff
options:
  images:
    description: The images, by digest.
    type: list
    elements: str
    required: true
  seconds:
    description: Timeout for each image, in seconds.
    type: int
    default: 600
  wait:
    description: How many seconds pass between two lines about the progress.
    type: int
    default: 15
  policy:
    description:
      - What the host's C(/etc/containers/policy.json) must require of images, by registry or repository. If it doesn't,
        nothing is pulled.
    type: dict
    default: {}
  continued:
    description: Whether this is a further call for the same pull. The action sets it.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says whether an image would be pulled.
    support: full
"""

EXAMPLES = r"""
- name: Pull two images
  image_pull:
    images:
      - registry.example/shop@sha256:8a1f...
      - registry.example/mail@sha256:77c0...
"""

RETURN = r"""
pulled:
  description: The images that this run has pulled.
  returned: success
  type: list
  elements: str
progress:
  description: How far the pull is. Empty once all images are there.
  returned: success
  type: str
  sample: "registry.example/shop: 312 MB of at most 830 MB, 10 MB/s, 4.1 GB free in /var/lib/containers"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.images.pull import Puller, PullError


def main() -> None:
    """Pull until all images are there, or for some seconds."""
    module = AnsibleModule(
        argument_spec={
            "images": {"type": "list", "elements": "str", "required": True},
            "seconds": {"type": "int", "default": 600},
            "wait": {"type": "int", "default": 15},
            "policy": {"type": "dict", "default": {}},
            "continued": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    puller = Puller(module.run_command, given["seconds"], given["policy"])
    if module.check_mode:
        missing = puller.missing(given["images"])
        module.exit_json(changed=bool(missing), pulled=missing, progress="")
    try:
        pulled, progress = puller.pull(given["images"], given["wait"], given["continued"])
    except PullError as error:
        module.fail_json(msg=f"Nothing was deployed: {error}")
    module.exit_json(changed=bool(pulled), pulled=pulled, progress=progress)


if __name__ == "__main__":
    main()
