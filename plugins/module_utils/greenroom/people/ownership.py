# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The proof that an identity in Ory Kratos is a synthetic user of a set, and what that user was like.

A mark in `metadata_admin` is text that an admin of Kratos can copy. So it names the user's login, which no two
identities in Kratos share, and is signed with a key for the environment and the set. It also has digests of the
identity and of its password hash, so that a comparison finds changes by hand without generating the user again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .client import Identity
from .recipe.recipe import MARK, NO_MAIL

SIGNED, UNSIGNED, UNPROVEN = "signed", "unsigned", ""
_FRACTION = re.compile(r"[ \[]-?\d+[.e]")
# Making an encoder takes as long as encoding a mark.
_encode = json.JSONEncoder(sort_keys=True).encode


def signing_key(secret: str, environment: str, user_set: str) -> str:
    """Return the key that signs the marks of one set in one environment."""
    text = f"greenroom mark\0{environment}\0{user_set}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Seal:
    """Signs and checks the marks of one set. Without a `key`, the login in the mark is the only proof."""

    user_set: str
    key: str = ""

    def sealed(self, body: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """Return an identity for Kratos whose mark is complete; `changes` replace keys of the mark."""
        metadata = body["metadata_admin"]
        mark = {
            **metadata[MARK],
            "content": content_digest(body, metadata, body.get("metadata_public")),
            "password": self.password_digest(_hash_in(body)),
            **{key: sorted(names) for key, names in _own_keys(body).items() if names},
            **changes,
        }
        if self.key:
            mark["signature"] = self._signature(mark)
        return {**body, "metadata_admin": {**metadata, MARK: mark}}

    def proof(self, identity: Identity, mark: Mapping[str, Any]) -> str:
        """Return what proves that a mark belongs to its identity: SIGNED, UNSIGNED (only the login) or UNPROVEN."""
        if self.key and "signature" in mark:
            valid = hmac.compare_digest(str(mark["signature"]).encode(), self._signature(mark).encode())
            return SIGNED if valid and _logs_in_as(identity, mark.get("login")) else UNPROVEN
        login, logins = _plain(mark.get("login")), set(logins_of(identity))
        if login in logins and _gets_no_mail(login):
            return UNSIGNED
        first = _first_address(mark)
        return UNSIGNED if any(each.startswith(first) and _gets_no_mail(each) for each in logins) else UNPROVEN

    def password_digest(self, hashed: str) -> str:
        """Return a digest of a password hash, empty without one. Only the key's holder can compare it with a hash."""
        if not hashed:
            return ""
        return self._digest(f"password\0{hashed}")[:16]

    def _signature(self, mark: Mapping[str, Any]) -> str:
        return self._digest(_encode({key: value for key, value in mark.items() if key != "signature"}))[:32]

    def _digest(self, text: str) -> str:
        return hmac.digest(self.key.encode(), text.encode(), "sha256").hex()


def is_as_made(identity: Identity, mark: Mapping[str, Any]) -> bool:
    """Return whether nobody has changed an identity since its mark was made, except its password."""
    parts = []
    for field, key in (("metadata_admin", "admin"), ("metadata_public", "public")):
        found, own = identity.get(field), mark.get(key)
        names = own if isinstance(own, list) else []
        parts.append({name: found.get(name) for name in names if name in found} if isinstance(found, dict) else {})
    return bool(content_digest(identity, *parts) == mark.get("content"))


def content_digest(identity: Mapping[str, Any], admin: Any, public: Any) -> str:
    """Return a digest of what a user is, with these parts of the metadata. Kratos may spell the same in another way."""
    addresses = {
        _plain(each.get("value")): bool(each.get("verified")) for each in identity.get("verifiable_addresses") or []
    }
    admin = {key: value for key, value in (admin or {}).items() if key != MARK}
    what = [identity.get("state"), identity.get("traits"), addresses, admin, public or {}]
    text = _encode(what)
    if _FRACTION.search(text):
        text = _encode(_normal(what))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def merged(body: Mapping[str, Any], there: Identity) -> dict[str, Any]:
    """Return `body` with the metadata that other programs have added to the identity that it replaces."""
    mark = there.get("metadata_admin")
    mark = mark.get(MARK) if isinstance(mark, dict) else None
    found = dict(body)
    for field, key in (("metadata_admin", "admin"), ("metadata_public", "public")):
        others = there.get(field)
        if not isinstance(others, dict):
            continue
        own = (mark.get(key) if isinstance(mark, dict) else None) or ()
        kept = {name: value for name, value in others.items() if name not in own}
        if kept:
            found[field] = {**kept, **(body.get(field) or {})}
    return found


def logins_of(identity: Identity) -> Iterator[str]:
    """Yield the names by which Kratos knows an identity; no two identities share one."""
    known = False
    for credential in (identity.get("credentials") or {}).values():
        for name in credential.get("identifiers") or []:
            known = True
            yield _plain(name)
    for field in ("verifiable_addresses", "recovery_addresses"):
        yield from (_plain(each.get("value")) for each in identity.get(field) or [])
    if not known:
        # Without a credential, the login is only a trait.
        yield from (_plain(text) for text in texts_in(identity.get("traits")))


def _logs_in_as(identity: Identity, login: Any) -> bool:
    """Return whether Kratos knows an identity by this name."""
    for credential in (identity.get("credentials") or {}).values():
        if login in (credential.get("identifiers") or ()):
            return True
    return _plain(login) in logins_of(identity)


def complaint(unproven: str) -> str:
    """Return a message about identities with a mark that nothing proves to be users, which `unproven` names."""
    return (
        "these identities have the mark of the set, but no proof that they are its users, and were left alone: "
        f"{unproven}. If they are users from a version that did not sign marks, and the ledger is "
        "lost, adopt them once with adopt_unsigned=true (for a playbook: -e seed_adopt_unsigned=true). Otherwise, take "
        "the mark out of their metadata_admin"
    )


def texts_in(value: Any) -> Iterator[str]:
    """Yield the strings in nested data."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            pending += each.values()
        elif isinstance(each, list):
            pending += each


def _own_keys(body: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the keys of the metadata that the recipe sets, as the mark names them."""
    fields = {"admin": body["metadata_admin"], "public": body.get("metadata_public") or {}}
    return {key: [name for name in metadata if name != MARK] for key, metadata in fields.items()}


def _hash_in(body: Mapping[str, Any]) -> str:
    password = (body.get("credentials") or {}).get("password") or {}
    return str((password.get("config") or {}).get("hashed_password") or "")


def _plain(login: Any) -> str:
    """Return a login as Kratos compares it: in lowercase, a phone number without spaces."""
    text = str(login).strip().lower()
    return f"+{re.sub('[^0-9]', '', text)}" if text.startswith("+") else text


def _first_address(mark: Mapping[str, Any]) -> str:
    """Return the address of a user, up to the domain, as versions made it that did not sign marks."""
    user_set, seed, key = mark.get("set"), mark.get("seed"), str(mark.get("key", mark.get("index")))
    digest = hashlib.sha256(f"{user_set}\0{seed}\0{key}".encode()).hexdigest()[:8]
    return f"{user_set}-{key}-{digest}@" if key[:1].isdecimal() else f"{user_set}-{key}@"


def _gets_no_mail(login: str) -> bool:
    domain = login.partition("@")[2]
    return not domain or any(domain == safe or domain.endswith(f".{safe}") for safe in NO_MAIL)


def _normal(value: Any) -> Any:
    """Return data with whole numbers as integers: databases keep 1.0 in different ways."""
    if isinstance(value, dict):
        return {key: _normal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_normal(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
