# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One call of the module `canary_probe` on an ops host."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..canary import prober, verdict
from ..common import web
from ..switch.bluegreen import SLOTS
from ..switch.moved import Moved
from ..switch.peers import Peers

ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "live": {"type": "str", "choices": list(SLOTS), "required": True},
    "candidate": {"type": "str", "choices": list(SLOTS), "required": True},
    "paths": {"type": "list", "elements": "str", "default": []},
    "rate": {"type": "float", "default": 10},
    "seconds": {"type": "float", "required": True},
    "timeout": {"type": "float", "default": 5},
    "ca_file": {"type": "path"},
    "resolve": {"type": "dict", "default": {}},
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "operation": {
        "type": "dict",
        "options": {
            "site": {"type": "str", "required": True},
            "epoch": {"type": "int", "required": True},
            "addresses": {"type": "list", "elements": "str", "required": True},
            "port": {"type": "int", "required": True},
            "name": {"type": "str", "required": True},
            "ca_file": {"type": "path", "required": True},
        },
    },
    "until": {"type": "list", "elements": "path", "default": []},
    "targets": {"type": "list", "elements": "dict", "default": []},
    "services": {"type": "dict", "default": {}},
    "prometheus": {"type": "str", "default": ""},
    "queries": {"type": "list", "elements": "dict", "default": []},
}


def carry_out(given: Mapping[str, Any], check: bool, _diff: bool = False) -> dict[str, Any]:
    """Send probes, with `check` none. Returns the module's result."""
    if given["live"] == given["candidate"]:
        return {"failed": True, "msg": "live and candidate must be different slots"}
    try:
        plan = prober.Plan(
            url=given["url"],
            slots={"live": given["live"], "candidate": given["candidate"]},
            paths=given["paths"],
            rate=given["rate"],
            seconds=given["seconds"],
            timeout=given["timeout"],
            network=web.Network({str(k): str(v) for k, v in given["resolve"].items()}, given["ca_file"]),
            username=given["username"],
            password=given["password"],
            until=given["until"],
            services=given["services"],
        )
    except ValueError as error:
        return {"failed": True, "msg": str(error)}
    if check:
        nothing = verdict.empty_interval(0)
        return {
            "changed": False,
            **{key: nothing[key] for key in ("probes", "watched", "notes")},
            "services": {},
            "stopped_early": False,
            "ended": False,
            "seconds": 0.0,
        }
    with contextlib.ExitStack() as watched:
        if given["operation"]:
            moved = watched.enter_context(_moved(given["operation"]))
            plan = replace(plan, over=moved.seen)
        return {"changed": False, **prober.observe(plan, given["targets"], given["prometheus"], given["queries"])}


def _moved(given: Mapping[str, Any]) -> Moved:
    edges = Peers(given["addresses"], given["port"], given["name"], given["ca_file"])
    return Moved(edges, given["site"], given["epoch"])
