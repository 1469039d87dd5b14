# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Action of `canary_probe`: calls the module that the host has compiled."""

from ansible.module_utils.greenroom.controller.modules.action import CompiledModule
from ansible.module_utils.greenroom.modules import canary_probe


class ActionModule(CompiledModule):  # type: ignore[misc]  # Ansible has no types
    """Calls the program or the module."""

    ARGUMENTS = canary_probe.ARGUMENTS
