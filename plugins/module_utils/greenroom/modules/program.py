# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-module: carries out calls of modules that a controller sends, with the logic that is compiled on the host.

A call is {module, logic, arguments, check, diff} in JSON, on standard input. The program prints STARTED and the result.
If it can't carry out the call as the module would, it prints the reason instead, and has done nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from ..common.started import STARTED
from . import logic, no_log

MODULES = ("canary_probe", "canary_traffic", "smoke_check", "template_tree")
SELINUX = "/sys/fs/selinux/enforce"


def main() -> int:
    """Carry out the call on standard input; returns the exit code."""
    request: dict[str, Any] = json.load(sys.stdin.buffer)
    if reason := _refusal(request):
        print(reason)
        return 0
    module = importlib.import_module(f".{request['module']}", __package__)
    # Once more, because another run may have replaced a file while this one imported it.
    if reason := _refusal(request):
        print(reason)
        return 0
    given = request["arguments"]
    print(STARTED, flush=True)
    result = module.carry_out(given, request["check"], request["diff"])
    print(json.dumps(no_log.hidden(result, no_log.secrets(module.ARGUMENTS, given))))
    return 0


def _refusal(request: dict[str, Any]) -> str:
    """Return why only the module can carry out a call, or ""."""
    if request["logic"] != logic.digest():
        return "this host has other logic"
    if request["module"] not in MODULES:
        return f"there is no module {request['module']}"
    # The module sets the security contexts of files, with a library that Ansible brings.
    return "this host has SELinux" if os.path.exists(SELINUX) else ""
