# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Kratos' identity schema (JSON Schema draft 07): references, `allOf`, validation."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from ..recipe.personas import UsersError
from .patterns import PatternError, python_pattern

EXTENSION = "ory.sh/kratos"
"""The key in a trait's schema that tells Kratos how to use the trait."""

# Keywords that hold data, not a schema.
_DATA = ("const", "enum", "default", "examples", EXTENSION)
_STRICTER: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
}


class TraitError(UsersError):
    """A trait that can't be generated; the message begins with its path and says what to do."""


class EndlessError(TraitError):
    """A trait that contains itself."""


def type_of(node: Mapping[str, Any]) -> str:
    """Return the type of a value for `node`: the first that isn't null, or the one that its keywords imply."""
    given = node.get("type")
    if isinstance(given, list):
        given = next((each for each in given if each != "null"), "null")
    if given:
        return str(given)
    for kind, keywords in (
        ("object", ("properties", "required", "additionalProperties")),
        ("array", ("items", "minItems", "uniqueItems")),
        ("number", ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum")),
    ):
        if any(keyword in node for keyword in keywords):
            return kind
    return "string"


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two schemas into one that requires both, as far as one schema can express it."""
    result = dict(one)
    for key, value in other.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = merged(before, value)
        elif key == "required" and before:
            result[key] = [*before, *(name for name in value if name not in before)]
        elif before is not None and key in _STRICTER:
            result[key] = _STRICTER[key](before, value)
        else:
            result[key] = value
    return result


class Schema:
    """An identity schema; `traits` is the part that describes traits. Raises TraitError."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        properties = document.get("properties")
        self.traits = properties.get("traits") if isinstance(properties, Mapping) else None
        if not isinstance(self.traits, Mapping):
            raise TraitError("traits: the identity schema describes no traits")

    def resolved(
        self, node: Mapping[str, Any], path: str, refs: tuple[str, ...]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return `node` with references resolved and `allOf` merged, and the references followed so far."""
        if "$ref" in node:
            ref = str(node["$ref"])
            if ref in refs:
                raise EndlessError(f"{path}: can't generate a trait that contains itself; set it in traits")
            return self.resolved(self._target(ref, path), path, (*refs, ref))
        result = {key: value for key, value in node.items() if key != "allOf"}
        for part in node.get("allOf", ()):
            if isinstance(part, Mapping):
                found, refs = self.resolved(part, path, refs)
                result = merged(result, found)
        return result, refs

    def _target(self, ref: str, path: str) -> Mapping[str, Any]:
        document, _, pointer = ref.partition("#")
        if document not in ("", self._document.get("$id")):
            raise TraitError(f"{path}: can't generate what another document describes ({ref}); set it in traits")
        found: Any = self._document
        try:
            for part in unquote(pointer).split("/")[1:]:
                name = part.replace("~1", "/").replace("~0", "~")
                found = found[int(name)] if isinstance(found, list) else found[name]
        except (KeyError, IndexError, ValueError, TypeError):
            found = None
        if not isinstance(found, Mapping):
            raise TraitError(f"{path}: the schema has no {ref}")
        return found

    def validator(self) -> Callable[[Mapping[str, Any]], None]:
        """Return a function that raises TraitError for traits that don't fit the schema."""
        library = importlib.import_module("fastjsonschema")

        def anything(_uri: str) -> Any:
            # Playbooks must set traits that another document describes; Kratos validates those.
            return {}

        try:
            check = library.compile(
                _prepared(self._document),
                handlers=dict.fromkeys(("http", "https", "file", "ftp", "data", "base64", ""), anything),
                formats={"tel": r"^\+[1-9][0-9]{6,14}\Z"},
                use_default=False,
            )
        except (PatternError, library.JsonSchemaDefinitionException, ValueError) as error:
            raise TraitError(f"traits: the schema can't be used: {error}") from None

        def validate(traits: Mapping[str, Any]) -> None:
            try:
                check({"traits": traits})
            except library.JsonSchemaValueException as error:
                path = str(error.name).removeprefix("data.traits").removeprefix(".") or "traits"
                what = str(error.message).removeprefix(str(error.name)).strip()[:200]
                raise TraitError(f"{path}: can't generate a value: it {what}; set it in traits") from None

        return validate


_FORMATS = frozenset(
    {"date-time", "date", "time", "hostname", "email", "tel", "ipv4", "ipv6", "uri", "regex", "json-pointer"}
    | {"relative-json-pointer", "uri-template", "uri-reference"}
)


def _prepared(node: Any) -> Any:
    """Return a copy for the validator: patterns in Python's syntax, and only the formats that Kratos checks."""
    if isinstance(node, list):
        return [_prepared(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key == "pattern" and isinstance(value, str):
            result[key] = python_pattern(value)
        elif key == "patternProperties" and isinstance(value, Mapping):
            result[key] = {python_pattern(name): _prepared(each) for name, each in value.items()}
        elif key in _DATA and not isinstance(value, Mapping):
            result[key] = value
        elif key == "const" or (key == "format" and isinstance(value, str) and value not in _FORMATS):
            if key == "const":
                result[key] = value
        elif key != EXTENSION:
            result[key] = _prepared(value)
    return result
