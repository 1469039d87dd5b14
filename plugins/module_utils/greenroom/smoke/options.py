# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The options of a check in the module smoke_check; the validation before a run uses them, too."""

from __future__ import annotations

from typing import Any

from .checks import TYPES

REQUEST: dict[str, Any] = {
    "url": {"type": "str"},
    "method": {"type": "str"},
    "headers": {"type": "dict"},
    "form": {"type": "dict"},
    "json": {"type": "raw"},
    "body": {"type": "str"},
    "expect": {
        "type": "dict",
        "options": {
            "status": {"type": "list", "elements": "int"},
            "headers": {"type": "dict"},
            "contains": {"type": "raw"},
            "not_contains": {"type": "raw"},
            "matches": {"type": "raw"},
            "json": {"type": "dict"},
        },
    },
    "follow": {"type": "bool", "default": False},
    "capture": {"type": "dict"},
    "timeout": {"type": "float"},
    "retry": {"type": "float", "default": 0},
    "auth": {"type": "bool", "default": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "expect_slot": {"type": "str"},
}
STEP: dict[str, Any] = {**REQUEST, "name": {"type": "str"}, "always": {"type": "bool", "default": False}}
CHECK: dict[str, Any] = {
    **REQUEST,
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "choices": list(TYPES), "default": "http"},
    "mutates": {"type": "bool", "default": False},
    "host": {"type": "str"},
    "port": {"type": "int"},
    "tls": {"type": "dict", "options": {"min_days": {"type": "int", "default": 0}}},
    "steps": {"type": "list", "elements": "dict", "options": STEP},
}
