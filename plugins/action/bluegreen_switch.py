# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Action of `bluegreen_switch`: calls greenroom-edge on the host if it has the same logic, or else the module."""

from ansible.module_utils.greenroom.controller.modules.action import CompiledModule
from ansible.module_utils.greenroom.switch.module_call import logic_digest
from ansible.module_utils.greenroom.switch.options import ARGUMENTS


class ActionModule(CompiledModule):  # type: ignore[misc]  # Ansible has no types
    """Calls the program or the module."""

    PROGRAM = "/usr/local/sbin/greenroom-edge module"
    LOGIC = logic_digest()
    ARGUMENTS = ARGUMENTS
    _supports_async = False
