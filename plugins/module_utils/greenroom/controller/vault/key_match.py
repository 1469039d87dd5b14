# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Whether a private key belongs to a certificate.

Runs on the controller only (needs the cryptography package).
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_FORM = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_problem(chain: str, key: str) -> str:
    """Return why `key` isn't the private key (PEM) of the first certificate in `chain`, "" if it is."""
    try:
        public = load_pem_private_key(key.encode(), None).public_key()
    except (ValueError, TypeError):
        return "is not a private key in PEM without a password"
    own = x509.load_pem_x509_certificate(chain.encode()).public_key()
    return "" if own.public_bytes(*_FORM) == public.public_bytes(*_FORM) else "is the key of another certificate"
