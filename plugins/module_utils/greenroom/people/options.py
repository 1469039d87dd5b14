# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The options of the module identity_seed, and the call that they describe."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ..common import secret_file, web
from . import client, ledger, population, users
from .compare import Owner
from .ownership import Seal
from .removals import Removals
from .servers import SERVERS

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")

SERVER: dict[str, Any] = {
    "server": {"type": "str", "choices": [*SERVERS], "default": "kratos"},
    "url": {"type": "str", "required": True},
    "realm": {"type": "str"},
    "client_id": {"type": "str"},
    "client_secret": {"type": "str", "no_log": True},
    "headers": {"type": "dict", "default": {}, "no_log": True},
    "ca_file": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path"},
    "_secrets": {"type": "path"},
}
"""The options of all modules that ask an admin API."""
ARGUMENTS: dict[str, Any] = {
    **SERVER,
    "public_url": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "exact", "absent"], "default": "present"},
    "set": {"type": "str", "required": True},
    "seed": {"type": "str", "default": "1"},
    "count": {"type": "int", "default": 100},
    "domain": {"type": "str", "required": True},
    "leftovers": {"type": "list", "elements": "str", "default": []},
    "removals": {"type": "int", "default": 0},
    "removals_users": {"type": "int", "default": 10},
    "removals_percent": {"type": "float", "default": 10},
    "renew": {"type": "bool", "default": False},
    "schema_id": {"type": "str", "default": "default"},
    "locales": {"type": "list", "elements": "str", "default": ["en_US"]},
    "traits": {"type": "dict", "default": {}},
    "personas": {"type": "list", "elements": "raw", "default": []},
    "verified": {"type": "float", "default": 1},
    "metadata_public": {"type": "dict", "default": {}},
    "metadata_admin": {"type": "dict", "default": {}},
    "password": {"type": "str", "no_log": True},
    "password_key": {"type": "str", "no_log": True},
    "cost": {"type": "int", "default": 12},
    "signing_key": {"type": "str", "no_log": True},
    "environment": {"type": "str"},
    "adopt": {"type": "list", "elements": "str", "default": []},
    "adopt_unsigned": {"type": "bool", "default": False},
    "hashes": {"type": "str", "choices": ["shared", "each"], "default": "shared"},
    "allowed": {"type": "bool", "required": True},
    "ledger": {"type": "path"},
    "people_file": {"type": "path"},
    "generators": {"type": "path", "default": "/var/lib/greenroom/python"},
    "connections": {"type": "int", "default": 2},
    "timeout": {"type": "float", "default": 60},
    "deadline": {"type": "float", "default": 14400},
    "_operation": {"type": "dict"},
    "_generator": {"type": "dict"},
    "_password_mark": {"type": "str", "no_log": True},
    "_compared": {"type": "bool", "default": False},
}
RECIPE = (
    *("set", "seed", "count", "domain", "schema_id", "locales", "traits", "personas", "verified"),
    *("metadata_public", "metadata_admin"),
)


def access_of(given: dict[str, Any], secrets: Mapping[str, str] = MappingProxyType({})) -> client.Access:
    """Return how the admin API is protected; its headers usually come in a file, with the `secrets`.

    Raises users.UsersError, which never has a header's value.
    """
    found = json.loads(secrets["headers"]) if "headers" in secrets else given["headers"]
    headers = {str(name): str(value) for name, value in found.items()}
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise users.UsersError(f"headers: '{name}' can't be a header; use one line of ASCII for name and value")
    if headers and not _is_private(given["url"]):
        raise users.UsersError("headers: they would be readable on their way to the admin API; use https in url")
    if given["client_id"] and not _is_private(given["url"]):
        raise users.UsersError("client_secret: it would be readable on its way to the server; use https in url")
    if given["client_key"] and not given["client_cert"]:
        raise users.UsersError("client_key: set client_cert, too")
    network = web.Network(ca_file=given["ca_file"], certificate=given["client_cert"], key=given["client_key"])
    login = {key: given[key] or "" for key in ("realm", "client_id")}
    login["client_secret"] = secrets.get("client_secret") or given["client_secret"] or ""
    if given["server"] == "keycloak" and (missing := [key for key, value in login.items() if not value]):
        raise users.UsersError(f"server: keycloak needs {', '.join(missing)}, too")
    return client.Access(headers, network, **login)


def _is_private(url: str) -> bool:
    """Return whether nobody can read requests to a URL on their way: it has TLS, or the server is on this host."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        return parts.scheme == "https" or ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def secrets_of(module: Any) -> dict[str, str]:
    """Return the secrets that a module got in a file, which is gone then. The module's output never shows them."""
    secrets: dict[str, str] = secret_file.take(module.params["_secrets"])
    module.no_log_values |= _hidden(secrets)
    return secrets


def _hidden(secrets: Mapping[str, str]) -> set[str]:
    """Return what no output may show, even if a server repeats it. Short headers would hide numbers in the result."""
    inside = (each for name in ("headers", "signing_keys") for each in json.loads(secrets.get(name, "{}")).values())
    return {*secrets.values(), *(each for each in inside if len(each) >= 8)}


def order_of(given: dict[str, Any], secrets: Mapping[str, str]) -> population.Order:
    """Return the order for the given arguments and the `secrets` that came in a file; raises users.UsersError."""
    generator, operation = given["_generator"] or {}, given["_operation"] or {}
    recipe = users.Recipe.of(
        {
            **{key: given[key] for key in RECIPE},
            "password": given["_password_mark"] or "",
            "generator": generator.get("version", ""),
        }
    )
    if not 1 <= given["connections"] <= 32:
        raise users.UsersError(f"connections must be 1 to 32, not {given['connections']}")
    path = ledger.path_of(given["ledger"], recipe.set)
    return population.Order(
        recipe=recipe,
        state=given["state"],
        url=given["url"],
        public_url=given["public_url"],
        access=access_of(given, secrets),
        kind=SERVERS[given["server"]],
        timeout=given["timeout"],
        deadline=given["deadline"],
        connections=given["connections"],
        ledger=path,
        people_file=given["people_file"] or f"{path.removesuffix('.db')}.jsonl",
        generators=given["generators"],
        leftovers=tuple(given["leftovers"]),
        removals=Removals(given["removals_users"], given["removals_percent"], given["removals"]),
        token=operation.get("token", "none"),
        holder=operation.get("holder", ""),
        seconds=float(operation.get("seconds", 15)),
        archive=users.archive_name(generator["digest"], recipe.every_locale) if generator else "",
        owner=_owner_of(given, recipe, secrets),
        compares=not given["_compared"],
        renew=given["renew"],
        hash_of=users.hasher(secrets, given["server"]),
    )


def _owner_of(given: dict[str, Any], recipe: users.Recipe, secrets: Mapping[str, str]) -> Owner:
    """Return whose users count, with the keys that the controller has derived for the sets."""
    keys = json.loads(secrets.get("signing_keys", "{}"))
    for name in given["adopt"]:
        users.Recipe(name, recipe.seed, 0, recipe.domain)
        if name == recipe.set:
            raise users.UsersError(f"adopt: '{name}' is the set itself; name the set that its users belonged to")
    return Owner(
        Seal(recipe.set, keys.get(recipe.set, "")),
        tuple(Seal(name, keys.get(name, "")) for name in given["adopt"]),
        given["adopt_unsigned"],
        json.loads(secrets.get("expected", "{}")),
    )
