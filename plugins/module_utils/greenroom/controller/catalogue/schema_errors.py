# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Violations of a schema as one line each, with the key.

Runs only on the controller (needs the jsonschema package).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import jsonschema

from ...common.names import suggestion

_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "object": "a mapping",
    "string": "a string",
}


def _key(path: Iterable[str | int], *more: str) -> str:
    """Return a path in the usual notation: `routes[0].port`."""
    text = ""
    for part in [*path, *more]:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def lines(error: jsonschema.ValidationError) -> list[str]:
    """Return `<key>: <problem>` lines for one violation of the schema."""
    where, value, path = _key(error.absolute_path), error.instance, list(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            known = error.schema["properties"]
            unknown = [str(key) for key in value if key not in known]
            return [f"{_key(path, key)}: unknown key{suggestion(key, known)}" for key in unknown]
        case "required":
            return [f"{_key(path, key)}: missing" for key in error.validator_value if key not in value]
        case "type":
            wanted = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
            hint = "; write it to Vault, and name it in `secrets`" if _is_encrypted(value) else ""
            what = f"expected {' or '.join(_KINDS[kind] for kind in wanted)}, got {_shown(value)}{hint}"
        case "enum":
            what = f"unknown value {_shown(value)}{suggestion(str(value), map(str, error.validator_value))}"
        case "minimum":
            what = f"{value} is too small; the minimum is {error.validator_value}"
        case "const":
            what = "can only be true; leave it out instead"
        case "minItems":
            what = "is empty"
        case "maximum":
            what = f"{value} is too large; the maximum is {error.validator_value}"
        case "exclusiveMinimum":
            what = f"{value} is too small; it must be above {error.validator_value}"
        case "exclusiveMaximum":
            what = f"{value} is too large; it must be below {error.validator_value}"
        case _:
            # It may be the secret itself, written in place of its name.
            shown = "the value" if path[:1] == ["secrets"] else _shown(value)
            what = f"{shown} is not {error.schema['description']}"
    return [f"{where}: {what}" if where else what]


def _is_encrypted(value: object) -> bool:
    # A value with the tag !vault is of a type of Ansible, whose text is the decrypted value.
    return not isinstance(value, (str, int, float, list, Mapping, type(None)))


def _shown(value: object) -> str:
    if _is_encrypted(value):
        return "an encrypted value"
    if isinstance(value, (list, Mapping)):
        return _KINDS["array" if isinstance(value, list) else "object"]
    return f'"{value}"' if isinstance(value, str) else "nothing" if value is None else str(value)
