# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Collects the variables of another host once in a task, not at each use of `hostvars`.

Ansible starts a process for each task and host. No variable changes in it: results go to the main process, which starts
the next one. But at each use of `hostvars`, Ansible again merges the variables of that host from all groups and files.
The main process keeps nothing, because it changes variables between tasks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any


def keep_in_workers() -> None:
    """Turn this on for the processes that this one starts."""
    try:
        # Other versions of Ansible may have it elsewhere; then they collect variables as usual.
        wrap(import_module("ansible.vars.hostvars").HostVars, os.getpid)
    except (ImportError, AttributeError):
        return


def wrap(hostvars_class: Any, process: Callable[[], int]) -> None:
    """Make a class of `hostvars` keep what it has collected, except in the process that calls this function."""
    collect, main = hostvars_class.raw_get, process()
    kept: dict[str, Any] = {}

    def raw_get(self: Any, host_name: str) -> Any:
        # Undefined names aren't strings, and a host that is missing has no variables.
        if process() == main or not isinstance(host_name, str):
            return collect(self, host_name)
        if host_name not in kept:
            found = collect(self, host_name)
            if not isinstance(found, dict):
                return found
            kept[host_name] = found
        return kept[host_name]

    hostvars_class.raw_get = raw_get
