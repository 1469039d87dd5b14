# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Run the project's roles in a play of a test's own: a folder with an inventory and with stand-ins for modules."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests import warm_start

ROOT = Path(__file__).resolve().parents[2]
# How a host is reached that can't be.
DEAD = '''
DOCUMENTATION = """
name: dead
short_description: Reaches nobody
description: Reaches nobody.
author: Greenroom developers
"""
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase
class Connection(ConnectionBase):
    transport = "dead"
    def _connect(self):
        raise AnsibleConnectionFailure("no route to host")
    def exec_command(self, cmd, in_data=None, sudoable=True):
        self._connect()
    put_file = fetch_file = exec_command
    def close(self):
        pass
'''


def configure(folder: Path, **more: Any) -> None:
    """Write an ansible.cfg: roles and plugins are the project's, modules those of the folder's `library`."""
    settings = {
        "roles_path": ROOT / "roles",
        "library": folder / "library",
        "module_utils": ROOT / "plugins/module_utils",
        "filter_plugins": ROOT / "plugins/filter",
        # The plugin that finds the project's own logic for all others.
        "vars_plugins": ROOT / "plugins/vars",
        "vars_plugins_enabled": "host_group_vars,catalogue",
        **warm_start.SETTINGS,
    }
    lines = [f"{name} = {value}" for name, value in {**settings, **more}.items()]
    (folder / "ansible.cfg").write_text("\n".join(["[defaults]", *lines, "[ssh_connection]", "retries = 0", ""]))


def write_hosts(folder: Path, groups: dict[str, Any], variables: dict[str, Any]) -> None:
    """Write the inventory: {group: {"hosts": {host: variables of its own}}}, and variables of all hosts."""
    (folder / "hosts.yml").write_text(json.dumps({"all": {"children": groups, "vars": variables}}))


def run(folder: Path, *options: str, playbook: str = "play.yml") -> subprocess.CompletedProcess[str]:
    """Run a playbook of the folder to its end, well or not, with modules as forks where they can be."""
    words = ["-i", "hosts.yml", playbook, *options]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(folder / "ansible.cfg")}
    return warm_start.run(words, folder, environment)
