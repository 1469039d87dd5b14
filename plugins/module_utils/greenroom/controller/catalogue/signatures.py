# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The signatures that images must have: `image_signatures`.

It is {registry, or repository as in release files: {keys: [files with public keys], signed_as: the one repository that
the signature names, if the image was copied from there}}. Podman checks them on the hosts. Runs only on the controller.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema

from .release import PLACE, REGISTRY
from .schema_errors import lines
from .schema_terms import mapping, text

Signatures = Mapping[str, Mapping[str, Any]]

KEYS = "/etc/containers/keys"
_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----\s.+-----END PUBLIC KEY-----\s*\Z", re.DOTALL)
_SCHEMA = mapping(
    {
        "keys": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "signed_as": text(rf"^(?:{REGISTRY})/[a-z0-9._/-]+\Z", "a repository with its registry"),
    },
    ["keys"],
)


def problems(given: object, registries: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with `image_signatures`; the check of types reports a value of another type.

    `registries` are those that images may come from, the environment's own first.
    """
    for name, settings in (given if isinstance(given, Mapping) else {}).items():
        where = f"image_signatures.{name}"
        place = re.fullmatch(PLACE, str(name))
        if not re.fullmatch(REGISTRY, str(name)) and place is None:
            yield f'{where}: "{name}" is neither a registry nor a repository without tag, as in release files'
        elif _scope(str(name), "").partition("/")[0] not in ("", *registries):
            yield f"{where}: no image may come from there; name the registry in registry_others, or remove the key"
        errors = list(jsonschema.Draft202012Validator(_SCHEMA).iter_errors(settings))
        for error in errors:
            joint = "." if error.absolute_path or error.validator == "additionalProperties" else ": "
            yield from (f"{where}{joint}{line}" for line in lines(error))
        for number, file in enumerate([] if errors else settings["keys"]):
            yield from (f"{where}.keys[{number}]: {file}: {line}" for line in _key_problems(file))


def _key_problems(file: str) -> Iterator[str]:
    try:
        content = Path(file).expanduser().read_bytes()
    except OSError as error:
        yield f"{error.strerror}; `cosign generate-key-pair` writes the public key to cosign.pub"
        return
    if b"PRIVATE KEY" in content:
        yield "is a private key, which must not leave the place that signs; name the public key, such as cosign.pub"
    elif not _PUBLIC.match(content.strip()):
        yield "has no public key in PEM (BEGIN PUBLIC KEY); name a file such as cosign.pub"


def _scope(name: str, address: str) -> str:
    """Return what Podman calls a registry or repository; one without a registry is in that at `address`."""
    first = name.partition("/")[0]
    return name if re.fullmatch(REGISTRY, first) else f"{address}/{name}"


def requirements(address: str, signatures: Signatures) -> dict[str, list[dict[str, Any]]]:
    """Return {registry or repository: what Podman's policy.json requires of its images}."""
    found = {}
    for name, settings in signatures.items():
        scope = _scope(name, address)
        keys = [_on_host(file) for file in settings["keys"]]
        # Podman before 5.3 knows only one key.
        required: dict[str, Any] = {"type": "sigstoreSigned"}
        required |= {"keyPath": keys[0]} if len(keys) == 1 else {"keyPaths": keys}
        # cosign signs a digest in a repository, without a tag.
        required["signedIdentity"] = {"type": "matchRepository"}
        if original := settings.get("signed_as"):
            required["signedIdentity"] = {"type": "exactRepository", "dockerRepository": original}
        found[scope] = [required]
    return found


def _on_host(file: str) -> str:
    """Return the path of a key on hosts. Another key has another one, so that a changed key changes the policy."""
    content = Path(file).expanduser().read_bytes()
    return f"{KEYS}/{hashlib.sha256(content).hexdigest()[:16]}.pub"


def policy(address: str, others: Collection[str], signatures: Signatures) -> str:
    """Return Podman's policy.json: images come only from these registries, with the signatures that they must have."""
    accepted = [{"type": "insecureAcceptAnything"}]
    scopes = dict.fromkeys((address, *others), accepted) | requirements(address, signatures)
    lines = [f"      {json.dumps(scope)}: {json.dumps(required)}" for scope, required in scopes.items()]
    head = [
        *("{", '  "default": [{"type": "insecureAcceptAnything"}],', '  "transports": {', '    "docker": {'),
        '      "": [{"type": "reject"}],',
    ]
    return "\n".join([*head, ",\n".join(lines), "    }", "  }", "}"]) + "\n"


def files(address: str, signatures: Signatures) -> list[dict[str, str]]:
    """Return the files for `template_tree` that Podman needs to check signatures; none without signatures."""
    if not signatures:
        return []
    # Where signatures are: beside the image in its registry, as cosign and Podman write them.
    places = {"docker": {scope: {"use-sigstore-attachments": True} for scope in requirements(address, signatures)}}
    keys = {_on_host(file): file for settings in signatures.values() for file in settings["keys"]}
    return [
        {"content": f"{json.dumps(places, indent=2)}\n", "dest": "/etc/containers/registries.d/50-greenroom.yaml"},
        *({"src": os.path.expanduser(file), "dest": dest} for dest, file in keys.items()),
    ]
