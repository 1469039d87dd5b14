# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The controller's signature (Ed25519) of a slot's description.

App hosts keep the description, and a run uses it for other hosts: the edge, the firewall, the database. So a run uses
it only as the controller wrote it. Runs on the controller only (needs the cryptography package).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .description import Description, description_file, facts, is_description

SIGNATURE = "signature"
_KEY = "bundle_key"


def _private(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())


def _signed_text(description: Description) -> bytes:
    """Return the text that is signed: the same for a description before it is written and after it is read."""
    content = {key: value for key, value in description.items() if key != SIGNATURE}
    return json.dumps(content, sort_keys=True, separators=(",", ":"), default=str).encode()


def public_key(secret: str) -> str:
    """Return the public key that belongs to the environment's secret, in base64."""
    return base64.b64encode(_private(secret).public_key().public_bytes_raw()).decode()


def signed(description: Description, secret: str) -> dict[str, Any]:
    """Return the description with its signature."""
    text = _signed_text(description)
    return {**json.loads(text), SIGNATURE: base64.b64encode(_private(secret).sign(text)).decode()}


def matches(description: Description, key: str) -> bool:
    """Tell whether the holder of the secret of the public `key` has signed the description."""
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key))
        public.verify(base64.b64decode(str(description[SIGNATURE])), _signed_text(description))
    except (InvalidSignature, KeyError, ValueError):
        return False
    return True


def signed_file(description: Description, folder: str, secret: str) -> dict[str, str]:
    """Return the file with a slot's description, signed: a local fact. `folder` is the slot's folder."""
    return description_file(signed(description, secret), folder)


def signed_files(text: str, folder: str, secret: str) -> list[dict[str, str]]:
    """Return the files with the descriptions in the local facts of a host, signed. `folder` has the slots' folders."""
    found = [{**fact} for fact in facts(text) if is_description(fact)]
    return [signed_file(description, f"{folder}/{description['slot']}", secret) for description in found]


def key_fact(secret: str) -> str:
    """Return the local fact with the public key, which edge hosts keep for runs that can't read Vault."""
    return f"{json.dumps({_KEY: public_key(secret)})}\n"


def public_keys(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the public keys that edge hosts keep, {host: key}, from their local facts, {host: text}."""
    return {host: str(fact[_KEY]) for host, text in texts.items() for fact in facts(text) if _KEY in fact}


def problem(host: str, description: Description, keys: Mapping[str, str]) -> str:
    """Return why the signature of a description on `host` doesn't count, "" if it does.

    `keys` = {who keeps it: public key}. A host doesn't vouch for itself: its own key counts only if there is no other.
    Without any key there is nothing to compare with.
    """
    others: Iterable[str] = {key for keeper, key in keys.items() if keeper != host} or set(keys.values())
    if not others:
        return ""
    if SIGNATURE not in description:
        return "has no signature"
    if all(matches(description, key) for key in others):
        return ""
    return "has another content than the controller signed, or was signed with another key"
