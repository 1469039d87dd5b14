# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One call of the module `smoke_check` on a host."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..common import durable
from ..smoke import checks
from ..smoke.attempt import Settings
from ..smoke.options import CHECK

ARGUMENTS: dict[str, Any] = {
    "checks": {"type": "list", "elements": "dict", "required": True, "options": CHECK},
    "defaults": {
        "type": "dict",
        "apply_defaults": True,
        "options": {
            "url": {"type": "str", "default": ""},
            "headers": {"type": "dict", "default": {}},
            "ca_file": {"type": "path"},
            "resolve": {"type": "dict", "default": {}},
            "names": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 10},
            "username": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "expect_slot": {"type": "str", "default": ""},
        },
    },
    "deadline": {"type": "float", "default": 60},
    "retry": {"type": "bool", "default": False},
    "concurrency": {"type": "int", "default": 8},
    "mutating": {"type": "bool", "default": True},
    "variables": {"type": "dict", "default": {}},
    "secret_variables": {"type": "dict", "default": {}, "no_log": True},
    "report_only": {"type": "bool", "default": False},
    "subject": {"type": "str", "default": ""},
    "hint": {"type": "str", "default": ""},
    "unreadable": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "junit": {"type": "path"},
}


def strings(values: dict[str, Any]) -> dict[str, str]:
    """Convert all values to strings, because YAML reads some values as numbers or booleans."""
    return {str(key): str(value) for key, value in values.items()}


def carry_out(given: Mapping[str, Any], check: bool, _diff: bool = False) -> dict[str, Any]:
    """Run the checks, with `check` only those that change no data. Returns the module's result."""
    if errors := checks.validate(given["checks"]):
        return {"failed": True, "msg": "; ".join(errors)}
    if given["deadline"] <= 0 or given["concurrency"] < 1:
        return {"failed": True, "msg": "deadline and concurrency must be positive"}
    defaults = given["defaults"]
    settings = Settings(
        deadline=given["deadline"],
        retry=given["retry"],
        concurrency=given["concurrency"],
        mutating=given["mutating"] and not check,
        headers=strings(defaults["headers"]),
        resolve=strings(defaults["resolve"]),
        **{
            name: defaults[name]
            for name in ("names", "timeout", "url", "ca_file", "username", "password", "expect_slot")
        },
        variables=strings(given["variables"]),
        secret_variables=strings(given["secret_variables"]),
        unreadable=given["unreadable"],
    )
    started = time.monotonic()
    verdicts = checks.run(given["checks"], settings)
    seconds = time.monotonic() - started
    result: dict[str, Any] = {
        "changed": False,
        "checks": [verdict.as_dict() for verdict in verdicts],
        "summary": checks.summary(verdicts, seconds),
        "skipped_checks": sum(verdict.skipped and not verdict.unreadable for verdict in verdicts),
        "unreadable_checks": sum(verdict.unreadable for verdict in verdicts),
    }
    if given["junit"] and not check:
        try:
            durable.write(given["junit"], checks.junit(verdicts, seconds))
        except OSError as error:
            return {**result, "failed": True, "msg": f"can't write the report {given['junit']}: {error.strerror}"}
    if not all(verdict.ok for verdict in verdicts):
        message = ": ".join(filter(None, (given["subject"], result["summary"])))
        # The hint first: what a check got may be long.
        result["msg"] = ". ".join(filter(None, (given["hint"], message)))
        result["failed"] = not given["report_only"]
    return result
