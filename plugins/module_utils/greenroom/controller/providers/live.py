# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Credentials that don't belong into an environment where everything may be tried: live keys, and production's secrets.

They are known by their shape, by texts that the inventory lists, and by fingerprints of the secrets of another
environment. No function returns or raises a text with a credential in it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

VARIABLES = ("secrets_foreign_texts", "secrets_foreign_fingerprints")
# Keys that tell by their beginning that they are live. Others, such as Postmark's, SES' and Twilio's, look alike in
# tests: these are known by fingerprint.
SHAPES = {
    "live Stripe key": r"(?:sk|rk|pk)_live_[A-Za-z0-9]{8,}",
    "production key of PayPal or Braintree": r"access_token\$production\$\w{8,}",
    "production token of Square": r"sq0(?:atp|csp)-[\w-]{20,}",
    "live key of Mollie": r"(?<![A-Za-z0-9_])live_[A-Za-z0-9]{30,}",
    "live key of Razorpay": r"rzp_live_[A-Za-z0-9]{8,}",
    "production token of Plaid": r"access-production-[0-9a-f-]{30,}",
    "live key of Flutterwave": r"FLWSECK-[0-9a-f]{20,}-X",
    "live token of Shippo": r"shippo_live_[0-9a-f]{20,}",
}
_SHAPES = {what: re.compile(pattern) for what, pattern in SHAPES.items()}
# Shorter ones are names and numbers, which environments share.
SHORTEST = 12
# A secret may be in a URL, or one of several keys.
_PARTS = re.compile(r"[\s:/@?&=,;\"']+")
# Keys of a secret's content that are not credentials, or that are the same everywhere.
_PLAIN = frozenset({"owner", "certificate", "ca_chain", "redirect_uri", "username", "client_id", "role_id"})
_LINE = re.compile(r"(key|environment|[0-9a-f]{64})\s+(\S.*)")
Secrets = Mapping[str, Mapping[str, Any]]


class FingerprintsError(Exception):
    """Why a file with fingerprints can't be used."""


class Fingerprints:
    """The fingerprints of another environment's secrets: HMACs, from which nobody gets the secrets back."""

    def __init__(self, environment: str, key: bytes, paths: Mapping[str, str]) -> None:
        self.environment = environment
        self.key = key
        self.paths = dict(paths)

    def path_of(self, text: str) -> str:
        """Return the path of the secret that a text has in the other environment, or ""."""
        return next((self.paths[mark] for part in _parts(text) if (mark := _mark(self.key, part)) in self.paths), "")


def read_fingerprints(file: str) -> Fingerprints | None:
    """Return what a file has that `fingerprint_text` made, None without a file. Raises FingerprintsError."""
    if not file:
        return None
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FingerprintsError(
            f"{VARIABLES[1]}: {file} can't be read: {getattr(error, 'strerror', None) or 'it is not text'}"
        ) from None
    known: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if not found:
            raise FingerprintsError(
                f"{VARIABLES[1]}: {file}: line {number} is not a fingerprint; make the file again (docs/providers.md)"
            )
        known[found[1]] = found[2]
    environment, key = known.pop("environment", ""), known.pop("key", "")
    if not environment or not re.fullmatch(r"[0-9a-f]{64}", key):
        raise FingerprintsError(
            f"{VARIABLES[1]}: {file}: has no environment or no key; make the file again (docs/providers.md)"
        )
    return Fingerprints(environment, bytes.fromhex(key), known)


def fingerprint_text(secrets: Secrets, environment: str, signing: str, shared: Collection[str] = ()) -> str:
    """Return the content of a file with the fingerprints of an environment's secrets, the same ones each time.

    `signing` is the secret that the key is made from, `shared` are paths of secrets that environments may share.
    """
    key = hmac.new(signing.encode(), b"greenroom fingerprints", hashlib.sha256).digest()
    marks: dict[str, str] = {}
    for path, text in _texts(secrets, shared):
        for part in (text, *text.split(",")):
            if len(_flat(part)) >= SHORTEST:
                marks.setdefault(_mark(key, part), path)
    lines = [
        f"# Fingerprints of the secrets of {environment}. They don't contain the secrets.",
        f"environment {environment}",
        f"key {key.hex()}",
        *(f"{mark} {marks[mark]}" for mark in sorted(marks)),
    ]
    return "".join(f"{line}\n" for line in lines)


def text_problem(text: str, foreign: Collection[str] = (), prints: Fingerprints | None = None) -> str:
    """Return why a text must not be in an environment that is not protected, or ""; the text itself is not in it.

    `foreign` are texts of other environments, such as client IDs.
    """
    for what, pattern in _SHAPES.items():
        if pattern.search(text):
            return f"has a {what}"
    for index, other in enumerate(foreign):
        if other and other in text:
            return f"has the text of another environment at secrets_foreign_texts[{index}]"
    if prints and (path := prints.path_of(text)):
        return f"has the secret {path} of {prints.environment}"
    return ""


def refusal(environment: str, foreign: object, file: object, *, protected: bool) -> Callable[[str], str]:
    """Return what says why a text must not be in `environment`, "" if it may; in a protected one, everything may.

    `foreign` and `file` are the variables in VARIABLES. Raises FingerprintsError.
    """
    if protected:
        return lambda _text: ""
    prints = read_fingerprints(str(file or ""))
    own = prints is not None and prints.environment == environment
    texts = [str(text) for text in foreign] if isinstance(foreign, Sequence) and not isinstance(foreign, str) else []

    def refused(text: str) -> str:
        problem = text_problem(text, texts, None if own else prints)
        return f"{problem}, which could reach real customers: {environment} is not protected" if problem else ""

    return refused


def secret_problems(
    secrets: Secrets,
    environment: str,
    foreign: object,
    file: object,
    shared: Collection[str] = (),
    *,
    protected: bool,
) -> list[str]:
    """Return one line for each secret that must not be in `environment`, with the arguments of `refusal`.

    `secrets` maps paths to contents. Those at the paths in `shared` may be the secrets of other environments, too.
    """
    try:
        refused = refusal(environment, foreign, file, protected=protected)
    except FingerprintsError as error:
        return [str(error)]
    lines = {
        path: f"{environment}/{path} {problem}. Put one for tests in its place (docs/providers.md)"
        for path, text in _texts(secrets, shared, plain=True)
        if (problem := refused(text))
    }
    return list(lines.values())


def _texts(secrets: Secrets, shared: Collection[str], *, plain: bool = False) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of each credential; with `plain`, also of what is none, such as a client's ID."""
    for path, content in sorted(secrets.items()):
        for key, value in content.items() if path not in shared else ():
            if isinstance(value, str) and (plain or key not in _PLAIN):
                yield path, value


def _parts(text: str) -> Iterator[str]:
    """Yield what in a text may be a credential: all of it, and its parts."""
    for part in dict.fromkeys((text, *(unquote(word) for word in _PARTS.split(text)))):
        if len(_flat(part)) >= SHORTEST:
            yield part


def _flat(text: str) -> str:
    """Return a text without white space: the same private key may have other line breaks."""
    return "".join(text.split())


def _mark(key: bytes, text: str) -> str:
    return hmac.new(key, _flat(text).encode(), hashlib.sha256).hexdigest()
