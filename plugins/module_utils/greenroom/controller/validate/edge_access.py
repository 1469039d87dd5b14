# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the variables that say who enters at the edge, and how long connections last.

Runs on the controller only (needs the cryptography package).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from .edge_certificates import certificate_problems
from .error_pages import page_problems

_CA = "edge_client_ca"
CONNECTIONS = ("edge_connection_hours", "edge_connection_reloads")
"""What `connection_problems` checks."""
MOST_HOURS = 168
MOST_RELOADS = 50


def file_problems(rendered: Callable[[str], Any], services: Mapping[str, Any], folder: str) -> Iterator[str]:
    """Yield what is wrong with variables that are the content of files; `rendered` raises ValueError without a file.

    The check of types reports that one. `services` is the catalog, `folder` the inventory's. A run that only moves
    traffic, such as a rollback, installs none of them and doesn't ask: an expired certificate must not stop it.
    """
    yield from client_ca_problems(rendered(_CA))
    yield from page_problems(rendered("edge_error_pages"))
    yield from certificate_problems(rendered, services, folder)


def client_ca_problems(given: object) -> Iterator[str]:
    """Yield what is wrong with `edge_client_ca`; the check of types reports a value of another type."""
    if not isinstance(given, str) or not given.strip():
        return
    if "PRIVATE KEY" in given:
        yield f"{_CA}: contains a private key; set only certificates"
        return
    try:
        certificates = x509.load_pem_x509_certificates(given.encode())
    except ValueError:
        yield (
            f"{_CA}: no certificates in PEM; set the content of a file, "
            "such as \"{{ lookup('ansible.builtin.file', 'client-ca.pem') }}\""
        )
        return
    names = {certificate.subject for certificate in certificates}
    for certificate in certificates:
        name = certificate.subject.rfc4514_string()
        if not _is_ca(certificate):
            yield f'{_CA}: "{name}" is not the certificate of a CA'
        if certificate.not_valid_after_utc < datetime.now(UTC):
            yield f'{_CA}: "{name}" expired on {certificate.not_valid_after_utc:%Y-%m-%d}'
        if certificate.issuer not in names:
            yield f'{_CA}: the issuer of "{name}" is missing; add all certificates up to the root'


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def connection_problems(hours: Any, reloads: Any) -> Iterator[str]:
    """Yield what is wrong with `edge_connection_hours` and `edge_connection_reloads`; None is a variable not set."""
    for name, value, most, why in (
        ("edge_connection_hours", hours, MOST_HOURS, "hours, a week at most"),
        ("edge_connection_reloads", reloads, MOST_RELOADS, f"reloads, {MOST_RELOADS} at most"),
    ):
        # The check of types reports what is not a number.
        if str(value).removeprefix("-").isdecimal() and not 1 <= int(value) <= most:
            yield f"{name}: {value} is out of range; set a number of {why}"
