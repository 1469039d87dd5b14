"""Identity schemas to try people with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = json.loads((ROOT / "services/kratos/config/identity.schema.json").read_text())
LOGIN = {"credentials": {"password": {"identifier": True}}}
EMAIL = {"type": "string", "format": "email", "ory.sh/kratos": {**LOGIN, "verification": {"via": "email"}}}


def schema(traits: dict[str, Any], required: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """An identity schema with an address and these traits."""
    return {
        "$id": "https://environment.test/person.json",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "traits": {
                "type": "object",
                "properties": {"email": EMAIL, **traits},
                "required": ["email", *required],
                "additionalProperties": False,
            }
        },
        **more,
    }


WIDE = schema(
    {
        "username": {"type": "string", "minLength": 3, "maxLength": 60, "ory.sh/kratos": LOGIN},
        "phone": {"type": "string", "format": "tel", "ory.sh/kratos": {"verification": {"via": "sms"}}},
        "work_email": {"type": "string", "format": "email", "ory.sh/kratos": {"recovery": {"via": "email"}}},
        "emails": {"type": "array", "minItems": 2, "items": EMAIL},
        "givenName": {"type": "string", "pattern": "^[\\p{L} '.-]+$", "maxLength": 40},
        "family_name": {"type": "string", "minLength": 1, "maxLength": 12},
        "full_name": {"type": "string"},
        "address": {"$ref": "#/definitions/address"},
        "addresses": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"$ref": "#/definitions/address"}},
        "birthdate": {"type": "string", "format": "date"},
        "created": {"type": "string", "format": "date-time"},
        "alarm": {"type": "string", "format": "time"},
        "site": {"type": "string", "format": "uri"},
        "host": {"type": "string", "format": "hostname"},
        "ip": {"type": "string", "format": "ipv4"},
        "ip6": {"type": "string", "format": "ipv6"},
        "expression": {"type": "string", "format": "regex"},
        "pointer": {"type": "string", "format": "json-pointer"},
        "oid": {"type": "string", "format": "uuid"},
        "locale": {"type": "string", "enum": ["en", "de-DE", "fr"]},
        "plan": {"enum": ["free", None, 3]},
        "tier": {"const": "a"},
        "tags": {"type": "array", "uniqueItems": True, "minItems": 2, "items": {"enum": ["a", "b", "c"]}},
        "pair": {"type": "array", "items": [{"type": "string", "pattern": "^[A-Z]{2}$"}, {"type": "integer"}]},
        "customer": {"type": "string", "pattern": "^C-\\d{4}-[A-F0-9]{6}$"},
        "strong": {"type": "string", "pattern": "^[a-zA-Z0-9]{8,}$", "minLength": 20},
        "nullable": {"type": ["null", "string"], "maxLength": 5},
        "nothing": {"type": "null"},
        "contact": {
            "oneOf": [
                {"properties": {"kind": {"const": "fax"}, "number": {"format": "tel"}}, "required": ["kind", "number"]},
                {"properties": {"kind": {"const": "post"}, "city": {"type": "string"}}, "required": ["kind", "city"]},
            ]
        },
        "mood": {"oneOf": [{"const": "good"}, {"const": "bad"}]},
        "both": {"allOf": [{"type": "string", "minLength": 5}, {"maxLength": 8}]},
        "free": {},
        "node": {"$ref": "#/definitions/node"},
    },
    required=("contact",),
    definitions={
        "address": {
            "type": "object",
            "properties": {
                "line1": {"type": "string"},
                "zip": {},
                "city": {"maxLength": 9},
                "state": {},
                "country": {},
            },
            "required": ["city", "floor"],
        },
        "node": {
            "type": "object",
            "properties": {
                "label": {"type": "string"},
                "child": {"$ref": "#/definitions/node"},
                "more": {"type": "array", "items": {"$ref": "#/definitions/node"}},
            },
        },
    },
)
