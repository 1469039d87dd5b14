# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The schema of provider.yml, and of what an environment sets for a provider (`environment_providers`).

Runs only on the controller (needs the jsonschema package).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema

from ..catalogue.schema_errors import lines
from ..catalogue.schema_terms import NAME, mapping, named, text
from ..catalogue.secret_schema import FIELD, GIVEN

KINDS = ("mail", "payment", "sms", "oidc", "ldap", "storage", "http")
MODES = ("live", "sandbox", "stub", "account")
OFF = "off"
TLS = ("none", "starttls", "implicit")
# Kinds with recipients, who must not get anything by mistake.
SENDERS = ("mail", "sms")
# The schemes of a provider's URL by its kind, each with its usual port.
_WEB = {"https": 443, "http": 80}
SCHEMES: dict[str, dict[str, int]] = {
    "mail": {"smtp": 587, "smtps": 465, **_WEB},
    "ldap": {"ldaps": 636, "ldap": 389},
}
WEB_SCHEMES = _WEB

_URL = text(r"\S", "a URL")
_COUNT = {"type": "integer", "minimum": 1}
_TEXTS = {"type": "array", "items": text(r"\S", "a text")}
_SECRET = mapping({"given": GIVEN, "value": NAME}) | {"minProperties": 1, "maxProperties": 1}
_SECRETS = named(_SECRET | {"description": "exactly one of given and value"}, FIELD["pattern"], FIELD["description"])
_VALUES = named({"type": ["string", "number", "boolean"]}, FIELD["pattern"], FIELD["description"])
# What a mode says; an environment may say it differently.
SETTINGS: dict[str, Any] = {
    "url": _URL,
    "tls": {"enum": list(TLS)},
    "hosts": _TEXTS,
    "addresses": _TEXTS,
    "secrets": _SECRETS,
    "values": _VALUES,
}
LIMITS: dict[str, Any] = {
    "budget": mapping({"minute": _COUNT, "day": _COUNT}),
    "recipients": _TEXTS,
}
PROVIDER = mapping(
    {
        "description": text(r"\S", "a text"),
        "kind": {"enum": list(KINDS)},
        "modes": {
            "type": "object",
            "minProperties": 1,
            "description": "a mapping with at least one mode",
            "properties": {mode: mapping(SETTINGS) for mode in MODES},
            "additionalProperties": False,
        },
        **LIMITS,
    },
    ["kind", "modes"],
)
CHOICE = mapping({"mode": {"enum": [*MODES, OFF]}, **SETTINGS, **LIMITS}, ["mode"])


def _is_integer(_checker: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_CHECKER = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
_VALIDATOR = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=_CHECKER)


def provider_errors(raw: object) -> list[str]:
    """Return the problems of the content of one provider.yml, as `<key>: <problem>`."""
    found = _errors(PROVIDER, raw)
    given = raw if isinstance(raw, Mapping) else {}
    if not found and given.get("recipients") is not None and given["kind"] not in SENDERS:
        found.append(f"recipients: a provider of the kind {given['kind']} sends to nobody; remove it")
    return found


def choice_errors(raw: object) -> list[str]:
    """Return the problems of one item of `environment_providers`, as `<key>: <problem>`."""
    return _errors(CHOICE, raw)


def _errors(schema: Mapping[str, Any], raw: object) -> list[str]:
    errors = sorted(
        _VALIDATOR(schema).iter_errors(raw),
        key=lambda error: ([str(part) for part in error.absolute_path], str(error.validator)),
    )
    return list(dict.fromkeys(line for error in errors for line in lines(error)))
