# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The options of `template_tree`, for its action (which validates them) and its module (which documents them)."""

from __future__ import annotations

from typing import Any

MARKER = "Managed by Greenroom; change it there, not here."

_ATTRIBUTES: dict[str, Any] = {
    "mode": {"type": "raw"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "validate": {"type": "str"},
    "secret": {"type": "bool"},
    "comment": {"type": "str"},
}
_TEMPLATE: dict[str, Any] = {
    "vars": {"type": "dict", "default": {}},
    "newline_sequence": {"type": "str", "default": "\n"},
    "block_start_string": {"type": "str", "default": "{%"},
    "block_end_string": {"type": "str", "default": "%}"},
    "variable_start_string": {"type": "str", "default": "{{"},
    "variable_end_string": {"type": "str", "default": "}}"},
    "comment_start_string": {"type": "str", "default": "{#"},
    "comment_end_string": {"type": "str", "default": "#}"},
    "trim_blocks": {"type": "bool", "default": True},
    "lstrip_blocks": {"type": "bool", "default": False},
    "output_encoding": {"type": "str", "default": "utf-8"},
}
ITEM_ATTRIBUTES = tuple(_ATTRIBUTES)
OVERRIDES = tuple(name for name in _TEMPLATE if name not in ("vars", "output_encoding"))

OPTIONS: dict[str, Any] = {
    "name": {"type": "str"},
    "roles": {"type": "list", "elements": "str"},
    "packages": {"type": "list", "elements": "str", "default": []},
    "trees": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "src": {"type": "path", "required": True},
            "dest": {"type": "path", "default": "/"},
            **_ATTRIBUTES,
            **_TEMPLATE,
        },
    },
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "src": {"type": "path"},
            "content": {"type": "raw"},
            "dest": {"type": "path", "required": True},
            "force": {"type": "bool", "default": True},
            **_ATTRIBUTES,
            **_TEMPLATE,
        },
        "mutually_exclusive": [["src", "content"]],
        "required_one_of": [["src", "content"]],
    },
    "attributes": {"type": "dict", "default": {}},
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "mode": {"type": "raw", "default": "0755"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
        },
    },
    "units": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "default": "started", "choices": ["started", "stopped", "unchanged"]},
            "enabled": {"type": "str", "default": "omit", "choices": ["true", "false", "omit"]},
            "on_change": {"type": "str", "default": "restart", "choices": ["restart", "reload", "none"]},
            "files": {"type": "list", "elements": "str", "default": ["*"]},
            "holds": {"type": "str"},
        },
    },
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "apply": {"type": "str", "default": "all", "choices": ["all", "drift"]},
    "metadata": {"type": "dict", "default": {}},
    "manifest": {"type": "path"},
    "confirm_files": {"type": "list", "elements": "str", "default": []},
    "requires": {"type": "str"},
    "marker": {"type": "str", "default": MARKER},
}
# A call applies either its own tree or the trees of roles.
CHOICES: dict[str, Any] = {"mutually_exclusive": [["name", "roles"]], "required_one_of": [["name", "roles"]]}
# The options of a role's tree: those of a call, and whether this host gets the tree.
ROLE_TREE: dict[str, Any] = {
    **{name: option for name, option in OPTIONS.items() if name not in ("roles", "packages")},
    "name": {"type": "str", "required": True},
    "wanted": {"type": "bool", "default": True},
}
# Compressed data from the action: rendered files, and the trees of roles with theirs. It is not logged, because it is
# large and has secrets.
TRANSPORT: dict[str, Any] = {
    "_files": {"type": "str", "default": "", "no_log": True},
    "_secret_files": {"type": "str", "default": "", "no_log": True},
    "_trees": {"type": "str", "default": "", "no_log": True},
}
