# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Action of `smoke_check`: calls the module that the host has compiled."""

from ansible.module_utils.greenroom.controller.modules.action import CompiledModule
from ansible.module_utils.greenroom.modules import smoke_check


class ActionModule(CompiledModule):  # type: ignore[misc]  # Ansible has no types
    """Calls the program or the module."""

    ARGUMENTS = smoke_check.ARGUMENTS
