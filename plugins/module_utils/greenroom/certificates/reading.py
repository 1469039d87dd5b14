# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What a certificate says: names, dates and key. Runs on hosts, which have OpenSSL's command and no package for it."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Collection
from dataclasses import dataclass

DAY = 86400
SECONDS = 30
"""How long OpenSSL may take, also for a connection."""
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)
_KEY = re.compile(r"-----BEGIN (?:EC |RSA )?PRIVATE KEY-----.*?-----END (?:EC |RSA )?PRIVATE KEY-----", re.S)
_PUBLIC = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.S)


class CertificateError(Exception):
    """A certificate can't be read, obtained or installed; the text is one line that says what to do."""


@dataclass(frozen=True)
class Certificate:
    """A certificate: its DNS `names`, when it `begins` and `ends` (Unix time), and its public `key` (PEM)."""

    names: frozenset[str]
    begins: float
    ends: float
    key: str

    def due(self, names: Collection[str], days: float, now: float) -> str:
        """Return why it must be renewed: it ends within `days`, or it isn't for exactly `names`. "" if it need not."""
        if self.ends - now < days * DAY:
            return f"expires in {max(0.0, (self.ends - now) / DAY):.0f} days"
        return "is for other names" if names and self.names != set(names) else ""


def openssl(*arguments: str, given: str = "") -> str:
    """Return what OpenSSL's command prints. Raises CertificateError."""
    try:
        done = subprocess.run(
            ["openssl", *arguments], input=given, capture_output=True, text=True, check=True, timeout=SECONDS
        )
    except FileNotFoundError:
        raise CertificateError("the command openssl is missing; install it with apt") from None
    except subprocess.TimeoutExpired:
        raise CertificateError(f"openssl {arguments[0]}: no result within {SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        text = (error.stderr.strip().splitlines() or ["failed"])[-1]
        raise CertificateError(f"openssl {arguments[0]}: {text}") from None
    return done.stdout


def certificates(text: str) -> list[str]:
    """Return the certificates (PEM) in a text, in order."""
    return _CERTIFICATE.findall(text)


def private_key(text: str) -> str:
    """Return the private key (PEM) in a text, "" if it has none."""
    found = _KEY.search(text)
    return found[0] if found else ""


def public_key(private: str) -> str:
    """Return the public key (PEM) of a private one. Raises CertificateError."""
    return openssl("pkey", "-pubout", given=private).strip()


def read(text: str) -> Certificate:
    """Return the first certificate in a text. Raises CertificateError."""
    found = certificates(text)
    if not found:
        raise CertificateError("there is no certificate in it; run site.yml, which writes it again")
    said = openssl("x509", "-noout", "-dates", "-pubkey", "-ext", "subjectAltName", given=found[0])
    dates = dict(re.findall(r"^(notBefore|notAfter)=(.+)$", said, re.M))
    public = _PUBLIC.search(said)
    if len(dates) != 2 or not public:
        raise CertificateError("OpenSSL doesn't say when the certificate expires")
    begins, ends = (float(ssl.cert_time_to_seconds(dates[name])) for name in ("notBefore", "notAfter"))
    return Certificate(frozenset(re.findall(r"DNS:([^,\s]+)", said)), begins, ends, public[0])


def served(address: str, port: int, name: str) -> list[str]:
    """Return the certificates (PEM) that a TLS server sends for `name`, its own first; [] if it doesn't answer."""
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    try:
        return certificates(openssl("s_client", "-connect", where, "-servername", name, "-showcerts"))
    except CertificateError:
        return []
