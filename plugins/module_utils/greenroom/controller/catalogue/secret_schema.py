# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The part of the schema of service.yml for `secrets`, `databases` and `extensions`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .connection_forms import KEYWORDS, PARTS
from .schema_terms import DATABASE, NAME, mapping, named, text

SECRET_KINDS = ("login", "broker", "cache", "ring", "value", "given", "provider")
# The kinds with a server, which a client may want to know in parts.
SERVERS = ("login", "broker", "cache")
GIVEN = text(
    r"^[a-z][a-z0-9_-]{0,39}(/[a-z0-9][a-z0-9_-]{0,39}){0,3}\Z",
    "a path in Vault such as third-party/key, of lowercase letters, digits, -, _ and /",
)
FIELD = text(r"^[a-z][a-z0-9_]{0,39}\Z", "a name of lowercase letters, digits and _")
# Podman reads the mount, and gives other characters a meaning.
FILE = text(
    r"^(/(?!\.{1,2}(/|\Z))[A-Za-z0-9_.-]+)+\Z",
    "the path of a file, which starts with / and has only letters, digits, -, _, . and /",
)
FORM = text(r"^[a-z][a-z0-9+.-]{0,39}\Z", "jdbc, keywords, or the scheme of a URL such as postgresql+psycopg2")
OPTION = text(r"^[A-Za-z_][A-Za-z0-9_.-]*\Z", "a name of letters, digits, _, . and -")
SECRET = mapping(
    {
        **{"login": DATABASE, "broker": NAME, "cache": NAME, "ring": NAME, "value": NAME, "given": GIVEN, "of": NAME},
        **{"file": FILE, "form": FORM, "part": {"enum": list(PARTS)}},
        **{"provider": NAME, "field": FIELD, "optional": {"type": "boolean"}},
        "options": named({"type": ["string", "integer"]}, OPTION["pattern"], OPTION["description"]),
    }
)
# Part of a pattern in Valkey's file of logins.
CACHE = mapping(
    {
        "prefix": text(r"^[A-Za-z0-9_.:/{}-]*\Z", "a text of letters, digits and _.:/{}-"),
        "slots": {"enum": ["shared", "own"]},
    }
)
_EXTENSION = text(r"^[a-z][a-z0-9_-]{0,62}\Z", "the name of an extension, of lowercase letters, digits, _ and -")
# apt reads the name.
_PACKAGE = text(r"^[a-z0-9][a-z0-9+.-]+\Z", "the name of a Debian package")
EXTENSIONS = {
    "type": "array",
    "items": {
        "anyOf": [_EXTENSION, mapping({"name": _EXTENSION, "package": _PACKAGE}, ["name"])],
        "description": "the name of an extension, or a mapping of `name` and `package`, the Debian package that has it",
    },
}
DATABASES = {
    "type": ["array", "object"],
    "anyOf": [
        {"type": "array", "items": DATABASE},
        named(mapping({"extensions": EXTENSIONS}), DATABASE["pattern"], DATABASE["description"]),
    ],
    "description": "a list of names of lowercase letters, digits and _, or a mapping of such names with `extensions`",
}


def secret_errors(secrets: object) -> Iterator[str]:
    """Yield the problems of `secrets` between its keys, as `<key>: <problem>`."""
    for variable, secret in (secrets if isinstance(secrets, Mapping) else {}).items():
        if isinstance(secret, Mapping):
            for key, problem in _errors(secret):
                yield f"secrets.{variable}{key}: {problem}"


def _errors(secret: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kinds = [kind for kind in SECRET_KINDS if kind in secret]
    if len(kinds) != 1:
        yield "", f"needs exactly one of {', '.join(SECRET_KINDS)}"
        return
    if kinds == ["provider"] and "of" in secret:
        yield ".of", "not needed; services that name the same provider share its secrets"
    for key in ("field", "optional"):
        if key in secret and kinds != ["provider"]:
            yield f".{key}", "only a provider has it; remove it"
    if secret.get("optional") and "file" in secret:
        yield ".optional", "a secret in a file can't be left out; remove one of them"
    if kinds == ["given"] and "of" in secret:
        yield ".of", "not needed; services that name the same path share the secret"
    if "part" in secret and kinds[0] not in SERVERS:
        yield ".part", f"a {kinds[0]} has no parts; remove it"
    if secret.get("part") == "prefix" and kinds != ["cache"]:
        yield ".part", "only a cache has a prefix; choose another part"
    for key, having in (("form", ["login"]), ("options", ["login", "cache"])):
        if key in secret and kinds[0] not in having:
            yield f".{key}", f"only a {' or '.join(having)} has it; remove it"
        elif key in secret and "part" in secret:
            yield f".{key}", "a part has no other form; remove one of them"
    if secret.get("form") == KEYWORDS and isinstance(secret.get("options"), Mapping):
        yield from ((".options", f"{name} is not an option of keywords") for name in secret["options"] if "-" in name)
