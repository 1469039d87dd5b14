# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The registries besides the environment's own that images may come from: `registry_others`.

It is {host[:port], as in the names of images: {login: path of the secret with username and password, api: host[:port]
that answers requests if it isn't the same, ca_file}}; each key is optional. Runs only on the controller.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from .registry import Registry, Settings
from .release import REGISTRY, Image
from .schema_errors import lines
from .schema_terms import mapping, text

Others = Mapping[str, Mapping[str, Any]]
Secrets = Mapping[str, Mapping[str, Any]]

# Options of actions that ask registries.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "registry": {"type": "str", "required": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "ca_file": {"type": "path"},
    "others": {"type": "dict", "default": {}},
    "logins": {"type": "dict", "default": {}, "no_log": True},
}
OWN_LOGIN = "environment/registry"
_SCHEMA = mapping(
    {
        "login": text(r"^environment/[a-z0-9_-]+\Z", "a path such as environment/registry-team"),
        "api": text(rf"^{REGISTRY}\Z", "a host, or host:port"),
        "ca_file": {"type": "string"},
    }
)


def problems(given: object) -> Iterator[str]:
    """Yield what is wrong with `registry_others`; the check of types reports a value of another type."""
    for name, settings in (given if isinstance(given, Mapping) else {}).items():
        where = f"registry_others.{name}"
        if not re.fullmatch(REGISTRY, str(name)):
            yield f'{where}: "{name}" is not a registry; write host or host:port, as in the names of its images'
        for error in jsonschema.Draft202012Validator(_SCHEMA).iter_errors(settings):
            joint = "." if error.absolute_path or error.validator == "additionalProperties" else ": "
            yield from (f"{where}{joint}{line}" for line in lines(error))


def secret_paths(others: Others) -> list[str]:
    """Return the paths of the registries' logins, which Greenroom only reads."""
    return sorted({str(settings["login"]) for settings in others.values() if settings.get("login")})


def logins(others: Others, secrets: Secrets) -> dict[str, dict[str, str]]:
    """Return {registry: {username, password}} of those with a login; `secrets` maps paths to the run's secrets."""
    return {
        name: {key: str(secrets[settings["login"]][key]) for key in ("username", "password")}
        for name, settings in others.items()
        if settings.get("login")
    }


def auth_file(address: str, others: Others, secrets: Secrets) -> str:
    """Return Podman's file with the logins of all registries; the environment's, at `address`, may want none."""
    own = {address: secrets[OWN_LOGIN]} if OWN_LOGIN in secrets else {}
    found = {**own, **logins(others, secrets)}
    auths = {
        name: {"auth": base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()}
        for name, login in found.items()
    }
    return f"{json.dumps({'auths': auths})}\n"


def ca_files(address: str, ca_file: str, others: Others) -> list[dict[str, str]]:
    """Return the files with the registries' CAs for `template_tree`; Podman looks for them by the registry's name."""
    found = {address: ca_file, **{name: str(its.get("ca_file") or "") for name, its in others.items()}}
    return [
        {"src": os.path.expanduser(file), "dest": f"/etc/containers/certs.d/{name}/ca.crt"}
        for name, file in found.items()
        if file
    ]


def opened(given: Mapping[str, Any]) -> dict[str, Registry]:
    """Return all registries by name, "" for the environment's own; `given` are options as in ARGUMENTS."""
    login = (given["username"], given["password"]) if given["username"] else None
    own = Registry(given["registry"], given["ca_file"], login)
    return {"": own} | {name: _other(name, its, given["logins"].get(name)) for name, its in given["others"].items()}


def resolve(images: Mapping[str, Image], registries: Mapping[str, Registry]) -> tuple[dict[str, str], dict[str, str]]:
    """Return {name: registry/repository@digest} of all images, and {name: digest of its tag now} of moved ones.

    Raises RegistryError.
    """
    found: dict[str, str] = {}
    moved: dict[str, str] = {}
    for name in dict.fromkeys(image.registry for image in images.values()):
        registry = registries[name]
        digests = registry.resolve({key: image for key, image in images.items() if image.registry == name})
        found |= {key: f"{registry.address}/{images[key].repository}@{digest}" for key, digest in digests.items()}
        moved |= registry.moved
    return {key: found[key] for key in images}, moved


def _other(name: str, settings: Mapping[str, Any], login: Mapping[str, Any] | None) -> Registry:
    where = f"registry_others.{name}"
    path = settings.get("login")
    secret = f"the login in the secret {path}" if path else f"that the image is public, or set {where}.login"
    return Registry(
        name,
        os.path.expanduser(settings["ca_file"]) if settings.get("ca_file") else None,
        (login["username"], login["password"]) if login else None,
        settings.get("api"),
        Settings(where, secret, f"{where}.ca_file"),
    )
