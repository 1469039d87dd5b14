# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The certificate with which both hosts of the continuous backup prove themselves, as servers and as clients.

It follows from a secret and is its own CA, so it needs no renewal that could be forgotten, and no other certificate of
the environment opens the repository. Another secret or address gives another one.

Runs on the controller only (needs the cryptography package).
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "greenroom-backup"
# Fixed, so that each run renders the same certificate.
FROM = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
UNTIL = datetime.datetime(2125, 1, 1, tzinfo=datetime.UTC)


def certificate(secret: str, names: Sequence[str]) -> dict[str, str]:
    """Return {certificate, private_key} for hosts with these names or addresses, always the same text.

    pgBackRest compares the address that it connects to with the DNS names of the certificate, as text.
    """
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"backup certificate {secret}".encode()).digest())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    hosts = sorted(set(names))
    serial = hashlib.sha256(" ".join(hosts).encode()).digest()[:16]
    built = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(serial) >> 1 | 1)
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(key, None)
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"certificate": built.public_bytes(pem).decode(), "private_key": private.decode()}
