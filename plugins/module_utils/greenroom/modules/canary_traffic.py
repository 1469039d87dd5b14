# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One call of the module `canary_traffic` on an edge host."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from typing import Any

from ..canary import traffic
from ..canary.journal import Journal, JournalError
from ..switch import haproxy

SECONDS = 5.0
ARGUMENTS: dict[str, Any] = {
    "after": {"type": "dict"},
    "last": {"type": "float"},
    "interval": {"type": "float"},
    "not_before": {"type": "str"},
    "settle": {"type": "float", "default": 0},
    "identifier": {"type": "str", "default": "haproxy"},
    "limit": {"type": "int", "default": 500000},
    "routes": {"type": "list", "elements": "str", "default": []},
    "backends": {"type": "dict", "default": {}},
    **haproxy.SOCKETS,
}
RULES: dict[str, Any] = {"mutually_exclusive": [["after", "last"]]}
"""Rules between arguments, as AnsibleModule takes them."""


def carry_out(given: Mapping[str, Any], _check: bool = False, _diff: bool = False) -> dict[str, Any]:
    """Read the journal. Returns the module's result."""

    def ask(command: str) -> dict[str, str]:
        answers = {}
        try:
            for worker in haproxy.workers(given["socket"], given["master_socket"], SECONDS):
                # An old worker may have ended meanwhile.
                with contextlib.suppress(haproxy.NobodyThereError):
                    answers[worker.name] = haproxy.shown(worker, command, SECONDS)
        except haproxy.SocketError as error:
            raise traffic.SilentError(f"HAProxy did not respond: {error}") from error
        return answers

    if not (program := shutil.which("journalctl")):
        return {"failed": True, "msg": f"this host has no journalctl in {os.environ.get('PATH')}"}
    wanted = {name: given[name] for name in ("after", "last", "interval", "not_before", "settle", "limit")}
    apart = {name: given[name] for name in ("routes", "backends")}
    try:
        return {"changed": False, **traffic.read(Journal(program, given["identifier"]), ask, **wanted, **apart)}
    except JournalError as error:
        return {"failed": True, "msg": str(error)}
