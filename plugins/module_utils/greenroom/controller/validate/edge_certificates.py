# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What is wrong with the edge's public certificates: given ones (`edge_certificates`) or by ACME (`edge_acme`).

Runs on the controller only (needs the cryptography package).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ...common.names import suggestion
from ..catalogue.closed_paths import names_of
from ..hosts.certificates import certificate_names, public_names, public_roots

GIVEN, ACME, CA = "edge_certificates", "edge_acme", "edge_ca"
KEYS = ("chain", "key")
ACME_KEYS = ("email", "directory", "server_ca", "hook", "secrets", "resolvers", "dns_check")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_HOW = "\"{{ lookup('ansible.builtin.file', 'chain.pem') }}\""


def certificate_problems(
    rendered: Callable[[str], Any], services: Mapping[str, Any], folder: str, now: datetime | None = None
) -> Iterator[str]:
    """Yield what is wrong, one line each; the check of types reports a value of another type.

    `rendered` returns a variable, `services` is the catalog, `folder` is the inventory's.
    """
    given, acme, ca = (rendered(name) or {} for name in (GIVEN, ACME, CA))
    if isinstance(given, Mapping) and isinstance(acme, Mapping):
        if given and acme:
            yield f"{ACME}: {GIVEN} is set, too; remove one of them: certificates are given, or come by ACME"
        own = rendered("edge_public_names") or [str(rendered("environment_public_name"))]
        names = public_names(own, names_of(services))
        roots: list[x509.Certificate] = []
        if isinstance(ca, str) and ca:
            roots, problem = _certificates(ca)
            if problem:
                yield f"{CA}: {problem}"
        yield from _acme_problems(acme, names, folder) if acme else ()
        yield from _given_problems(given, names, roots, now or datetime.now(UTC))


def _given_problems(
    given: Mapping[str, Any], names: Collection[str], roots: list[x509.Certificate], now: datetime
) -> Iterator[str]:
    covered: set[str] = set()
    for name, own in given.items():
        where = f"{GIVEN}.{name}"
        if not _NAME.fullmatch(str(name)):
            yield f"{where}: the name may have lowercase letters, digits and hyphens"
        elif (
            not isinstance(own, Mapping) or set(own) != set(KEYS) or not all(isinstance(own[key], str) for key in KEYS)
        ):
            yield f"{where}: expected chain (certificates in PEM) and key (path of a given secret)"
        else:
            chain, problem = _certificates(own["chain"])
            if problem:
                yield f"{where}.chain: {problem}"
                continue
            covered.update(_names(own["chain"]))
            yield from (f"{where}.chain: {line}" for line in _chain_problems(chain, roots, now))
    missing = sorted(name for name in names if name not in covered and f"*.{name.partition('.')[2]}" not in covered)
    if given and missing:
        yield f"{GIVEN}: no certificate is for {', '.join(missing)}; add one that has the name, or a wildcard for it"


def _certificates(text: str) -> tuple[list[x509.Certificate], str]:
    """Return the certificates in a text, or why there are none."""
    if "PRIVATE KEY" in text:
        return [], "contains a private key; set only certificates, and put the key with playbooks/secret.yml"
    try:
        return x509.load_pem_x509_certificates(text.encode()), ""
    except ValueError:
        return [], f"no certificates in PEM; set the content of a file, such as {_HOW}"


def _names(chain: str) -> list[str]:
    try:
        return certificate_names(chain)
    except x509.ExtensionNotFound:
        return []


def _chain_problems(chain: list[x509.Certificate], roots: list[x509.Certificate], now: datetime) -> Iterator[str]:
    for certificate in chain:
        name = certificate.subject.rfc4514_string() or "the certificate"
        if certificate.not_valid_after_utc < now:
            yield f'"{name}" expired on {certificate.not_valid_after_utc:%Y-%m-%d}; get a new one'
        if certificate.not_valid_before_utc > now:
            yield f'"{name}" is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC'
    for certificate, issuer in pairwise(chain):
        if not _issued(certificate, issuer):
            yield (
                f'"{issuer.subject.rfc4514_string()}" has not issued "{certificate.subject.rfc4514_string()}"; put the '
                "certificate first, then each with its issuer after it"
            )
            return
    last = chain[-1]
    trusted = roots or public_roots()
    if last not in trusted and not any(_issued(last, root) for root in trusted):
        what = f"none in {CA}" if roots else "no public CA"
        yield (
            f'the chain ends with "{last.subject.rfc4514_string()}", and {what} is its issuer; add the intermediate '
            f"certificates that the CA gives{'' if roots else f', or set {CA} to the root of a CA of your own'}"
        )


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _acme_problems(acme: Mapping[str, Any], names: Collection[str], folder: str) -> Iterator[str]:
    for key in acme:
        if key not in ACME_KEYS:
            yield f"{ACME}.{key}: unknown key{suggestion(str(key), ACME_KEYS)}; known are {', '.join(ACME_KEYS)}"
    if not re.fullmatch(r"[^@\s/]+@[^@\s/]+", str(acme.get("email") or "")):
        yield f"{ACME}.email: set the mail address that the CA writes to"
    if acme.get("directory") and (urlsplit(str(acme["directory"])).scheme != "https"):
        yield f"{ACME}.directory: expected the URL of the CA's directory, which begins with https://"
    if acme.get("server_ca"):
        _found, problem = _certificates(str(acme["server_ca"]))
        yield from [f"{ACME}.server_ca: {problem}"] if problem else []
    if acme.get("hook") and not (Path(folder) / str(acme["hook"])).is_file():
        yield f"{ACME}.hook: there is no file {Path(folder) / str(acme['hook'])}"
    wildcards = sorted(name for name in names if name.startswith("*."))
    if wildcards and not acme.get("hook"):
        yield f"{ACME}.hook: {', '.join(wildcards)} needs the challenge DNS-01; set a hook that writes the DNS record"
    for key, path in (acme.get("secrets") or {}).items() if isinstance(acme.get("secrets") or {}, Mapping) else ():
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", str(key)) or not isinstance(path, str):
            yield f"{ACME}.secrets.{key}: expected VARIABLE: path of a given secret"
