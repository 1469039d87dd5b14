# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Users of Keycloak as identities, and the other way round.

The login name of a user is the address. Traits are the attributes that the realm's user profile declares. All metadata
is in one more attribute, which only admins may see and edit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .client import Identity

ATTRIBUTE = "greenroom"
"""The attribute with the metadata of a user."""
_OWN = {"email": "email", "firstName": "firstName", "lastName": "lastName"}
"""Attributes of the profile that are fields of a user."""
_EXTENSION = {"credentials": {"password": {"identifier": True}}, "verification": {"via": "email"}}
_FORMATS = {"email": "email", "uri": "uri", "iso-date": "date"}
_BOUNDS = {"length": ("minLength", "maxLength"), "integer": ("minimum", "maximum"), "double": ("minimum", "maximum")}
_TYPES = {"integer": "integer", "double": "number"}


class Profile:
    """The user profile of a realm, as Keycloak describes it: {attributes: [{name, validations, …}], …}."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self._attributes = {each["name"]: each for each in described.get("attributes") or []}
        self._unmanaged = described.get("unmanagedAttributePolicy")

    @property
    def keeps_marks(self) -> bool:
        """Whether users can have the attribute with the metadata. Keycloak drops other attributes without a word."""
        return ATTRIBUTE in self._attributes or self._unmanaged in ("ENABLED", "ADMIN_EDIT")

    @property
    def schema(self) -> dict[str, Any]:
        """The identity schema: the traits are all attributes but the login name."""
        traits = {
            name: _schema_of(each) for name, each in self._attributes.items() if name not in ("username", ATTRIBUTE)
        }
        traits["email"] = {**traits.get("email", {"type": "string"}), "format": "email", "ory.sh/kratos": _EXTENSION}
        required = ["email", *(name for name in traits if name != "email" and "required" in self._attributes[name])]
        return {
            "properties": {
                "traits": {
                    "type": "object",
                    "properties": traits,
                    "required": required,
                    "additionalProperties": False,
                }
            }
        }

    def user(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a user for Keycloak from an identity."""
        traits = dict(body["traits"])
        address = traits["email"]
        verified = any(each.get("verified") for each in body.get("verifiable_addresses") or [])
        fields = {field: traits.pop(name) for name, field in _OWN.items() if name in traits}
        metadata = {key: body[key] for key in ("metadata_admin", "metadata_public") if body.get(key)}
        found = {
            **fields,
            "username": address,
            "enabled": body["state"] == "active",
            "emailVerified": verified,
            "attributes": {
                **{name: _texts(value) for name, value in traits.items()},
                ATTRIBUTE: [json.dumps(metadata, sort_keys=True)],
            },
        }
        hashed = ((body.get("credentials") or {}).get("password") or {}).get("config", {}).get("hashed_password")
        return {**found, "credentials": [_credential(hashed)]} if hashed else found

    def identity(self, user: Mapping[str, Any]) -> Identity:
        """Return a user of Keycloak as an identity."""
        attributes = dict(user.get("attributes") or {})
        metadata = _metadata(attributes.pop(ATTRIBUTE, None))
        traits = {name: user[field] for name, field in _OWN.items() if user.get(field) is not None}
        traits |= {name: self._value(name, values) for name, values in attributes.items() if name in self._attributes}
        verified = bool(user.get("emailVerified"))
        addresses = [{"value": user["email"], "verified": verified}] if user.get("email") else []
        return {
            "id": user["id"],
            "state": "active" if user.get("enabled") else "inactive",
            "traits": traits,
            "verifiable_addresses": addresses,
            # No two users share a login name, and addresses only if the realm allows it.
            "credentials": {"username": {"identifiers": [str(user.get("username"))]}},
            **metadata,
        }

    def foreign(self, user: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes of a user that no profile declares: other programs may have put them there."""
        attributes = user.get("attributes") or {}
        return {name: value for name, value in attributes.items() if name not in (*self._attributes, ATTRIBUTE)}

    def _value(self, name: str, values: Any) -> Any:
        texts = [str(each) for each in values] if isinstance(values, list) else [str(values)]
        described = _schema_of(self._attributes[name])
        if described["type"] == "array":
            return texts
        text = texts[0] if texts else ""
        try:
            return {"integer": int, "number": float}.get(described["type"], str)(text)
        except ValueError:
            return text


def _schema_of(attribute: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an attribute's values, from the rules that Keycloak checks."""
    rules = attribute.get("validations") or {}
    one: dict[str, Any] = {"type": next((kind for rule, kind in _TYPES.items() if rule in rules), "string")}
    for rule, (least, most) in _BOUNDS.items():
        for name, key in (("min", least), ("max", most)):
            if (value := (rules.get(rule) or {}).get(name)) not in (None, ""):
                one[key] = float(value) if rule == "double" else int(value)
    for rule, form in _FORMATS.items():
        if rule in rules:
            one["format"] = form
    if pattern := (rules.get("pattern") or {}).get("pattern"):
        one["pattern"] = f"^(?:{pattern})$"
    if options := (rules.get("options") or {}).get("options"):
        one["enum"] = list(options)
    return {"type": "array", "items": one, "minItems": 1} if attribute.get("multivalued") else one


def _texts(value: Any) -> list[str]:
    several = value if isinstance(value, list) else [value]
    return [each if isinstance(each, str) else json.dumps(each) for each in several]


def _metadata(values: Any) -> dict[str, Any]:
    """Return the metadata in the attribute; other programs may have put any text there."""
    try:
        found = json.loads(values[0])
    except (TypeError, ValueError, LookupError):
        return {}
    names = ("metadata_admin", "metadata_public") if isinstance(found, dict) else ()
    return {name: found[name] for name in names if name in found}


def _credential(hashed: str) -> dict[str, str]:
    """Return a password for Keycloak from a hash such as `$pbkdf2-sha512$i=210000,l=64$<salt>$<hash>`."""
    _, algorithm, cost, salt, raw = hashed.split("$")
    iterations = dict(each.split("=") for each in cost.split(","))["i"]
    data = {"algorithm": algorithm, "hashIterations": int(iterations), "additionalParameters": {}}
    secret = {"value": _padded(raw), "salt": _padded(salt), "additionalParameters": {}}
    return {"type": "password", "credentialData": json.dumps(data), "secretData": json.dumps(secret)}


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
