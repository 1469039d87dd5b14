# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Certificates on a host: issuer, names, kind of key and lifetime; and their keys, which must differ."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache

from .keys import digest
from .reading import Items, Unread, UnreadError, has, output, text

_TIME = "%b %d %H:%M:%S %Y %Z"


def certificates(patterns: Sequence[str]) -> Items:
    """Yield {issuer, names, key, days, valid} of the first certificate in each file that a pattern finds."""
    for path, shown in _shown(tuple(patterns)):
        yield path, shown if isinstance(shown, Unread) else _certificate(shown)


def certificate_keys(patterns: Sequence[str]) -> Items:
    """Yield the fingerprint of each certificate's public key."""
    for path, shown in _shown(tuple(patterns)):
        # The key of a CA is elsewhere; two environments may trust the same one.
        if not isinstance(shown, Unread) and "CA:TRUE" not in shown:
            yield f"certificate {path}", digest(shown[shown.index("-----BEGIN PUBLIC KEY") :])


@cache
def _shown(patterns: tuple[str, ...]) -> list[tuple[str, str | Unread]]:
    """Return what openssl says of each file, which two parts of a snapshot need."""
    return list(_read(patterns)) if has("openssl") else []


def _read(patterns: Iterable[str]) -> Iterator[tuple[str, str | Unread]]:
    words = ("-noout", "-issuer", "-subject", "-dates", "-text", "-pubkey", "-nameopt", "RFC2253")
    for path in sorted({path for pattern in patterns for path in glob.glob(pattern, recursive=True)}):
        try:
            # A server may want a file where an operator has given no certificate.
            if "BEGIN CERTIFICATE" not in text(path):
                continue
            yield path, output("openssl", "x509", "-in", path, *words)
        except UnreadError as error:
            yield path, Unread(str(error))


def _certificate(shown: str) -> dict[str, object]:
    since, until = _time(shown, "notBefore"), _time(shown, "notAfter")
    names = re.search(r"Subject Alternative Name:.*\n\s+(.+)", shown)
    algorithm, bits = _found(shown, r"Public Key Algorithm: (\S+)"), _found(shown, r"Public-Key: \((.+)\)")
    return {
        "issuer": _found(shown, r"^issuer=(.*)$"),
        "names": sorted(names[1].split(", ")) if names else [_found(shown, r"^subject=(.*)$")],
        "key": f"{algorithm} {bits}".strip(),
        # Renewed at another time of the day, it has the same lifetime.
        "days": round((until - since).total_seconds() / 86400),
        "valid": "yes" if since <= datetime.now(UTC) < until else "no",
    }


def _time(shown: str, name: str) -> datetime:
    return datetime.strptime(_found(shown, rf"^{name}=(.*)$"), _TIME).replace(tzinfo=UTC)


def _found(shown: str, pattern: str) -> str:
    found = re.search(pattern, shown, re.MULTILINE)
    return found[1].strip() if found else ""
