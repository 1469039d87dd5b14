# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Options of the module `bluegreen_switch`, for the module, its action plugin and greenroom-edge."""

from __future__ import annotations

from typing import Any

from . import steps
from .bluegreen import SLOTS
from .haproxy import SOCKETS

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["status", *steps.STEPS], "default": "present"},
    "site": {"type": "str", "required": True},
    "live": {"type": "str", "choices": list(SLOTS)},
    "weight": {"type": "int", "default": 0},
    "epoch": {"type": "int"},
    "expected_epoch": {"type": "int"},
    "operation": {"type": "str"},
    "deadline": {"type": "int", "default": 120},
    "bake": {
        "type": "dict",
        "options": {
            "limits": {"type": "dict", "required": True},
            "own": {"type": "dict", "default": {}},
            "routes": {"type": "list", "elements": "str", "default": []},
            "backends": {"type": "dict", "default": {}},
            "seconds": {"type": "float", "required": True},
            "not_before": {"type": "str", "default": ""},
        },
    },
    "by": {"type": "str", "default": ""},
    "final": {"type": "bool", "default": False},
    "finish": {"type": "bool", "default": False},
    "drain_timeout": {"type": "float", "default": 0},
    "recover": {"type": "bool", "default": False},
    "newest": {"type": "str", "default": ""},
    "healthy": {"type": "bool", "default": False},
    "state_file": {"type": "path", "default": "/var/lib/greenroom/edge/state.json"},
    "map_file": {"type": "path", "default": "/etc/haproxy/maps/live.map"},
    **SOCKETS,
    "peers_file": {"type": "path", "default": "/run/greenroom/edge-peers.json"},
    "timeout": {"type": "float", "default": 5},
}
