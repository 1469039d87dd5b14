# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Action of `identity_export`: sends the headers for the admin API in a file."""

from ansible.module_utils.greenroom.controller.people.admin_access import AskingModule


class ActionModule(AskingModule):  # type: ignore[misc]  # Ansible has no types
    """Calls the module."""
