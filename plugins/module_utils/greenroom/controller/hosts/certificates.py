# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What hosts get of certificates: their names, the CAs that clients of the edge trust, and an ACME account.

Runs on the controller only (needs the cryptography package).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

SYSTEM = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where systems have the public CAs, of which the first one counts."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


def certificate_names(pem: str) -> list[str]:
    """Return the DNS names of a certificate, its own first name first."""
    names = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return list(names.value.get_values_for_type(x509.DNSName))


def public_authorities() -> str:
    """Return the public CAs (PEM) that the controller trusts."""
    path = next((Path(name) for name in SYSTEM if Path(name).is_file()), Path(certifi.where()))
    return path.read_text(encoding="utf-8")


def public_roots() -> list[x509.Certificate]:
    """Return the same as certificates, without those that break a rule and that cryptography won't read for long."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in _CERTIFICATE.findall(public_authorities()):
            with contextlib.suppress(ValueError):
                found.append(x509.load_pem_x509_certificate(text.encode()))
    return found


def edge_trust(environment_ca: str, edge_ca: str) -> str:
    """Return the CAs that clients of the edge trust: the environment's, and `edge_ca` or all public ones.

    The environment's stays, because the edge serves its certificate until there is one by ACME.
    """
    return f"{environment_ca.strip()}\n{(edge_ca or public_authorities()).strip()}\n"


def acme_thumbprint(account_key: str) -> str:
    """Return the thumbprint (RFC 7638) of an account's key, with which a server answers HTTP-01."""
    key = serialization.load_pem_private_key(account_key.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("environment/acme/edge: account_key is not an elliptic curve key")
    numbers = key.public_key().public_numbers()
    size = (key.curve.key_size + 7) // 8
    point = {"x": _text(numbers.x.to_bytes(size, "big")), "y": _text(numbers.y.to_bytes(size, "big"))}
    shown = {"crv": "P-256", "kty": "EC"} | point
    return _text(hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()).digest())


def public_names(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return the names of a public certificate without ports and repeats, those of the environment first."""
    return list(dict.fromkeys(name.partition(":")[0].lower() for name in (*names, *others)))


def entries(
    secrets: Mapping[str, Mapping[str, str]],
    names: Sequence[str],
    servers: Mapping[str, Mapping[str, object]],
    source: str,
    renewed_by: str,
) -> list[dict[str, object]]:
    """Return what a host needs to renew the certificates `names`, which the run has read from Vault or the file.

    `servers` = {name: {files, reload}}, `source` is "vault" if the host renews them itself.
    """
    own = [(name, secrets[f"environment/certificate/{name}"]) for name in names if _known(secrets, name)]
    return [
        {"name": name, "names": certificate_names(found["certificate"]), "source": source, "renewed_by": renewed_by}
        | dict(servers[name])
        for name, found in own
    ]


def _known(secrets: Mapping[str, Mapping[str, str]], name: str) -> bool:
    return f"environment/certificate/{name}" in secrets


def host_certificates(
    hosts: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    certificates: Mapping[str, Sequence[str]],
    addresses: Mapping[str, Mapping[str, str]],
) -> dict[str, dict[str, object]]:
    """Return {host: {certificates: {name: [DNS name]}, address}} of what each host may renew itself.

    `addresses` = {group: {host: address}}; without it, a login works from everywhere.
    """
    found: dict[str, dict[str, object]] = {}
    for host in hosts:
        edge, data = (host in groups.get(group, ())[:last] for group, last in (("edge", None), ("data", 1)))
        own = {name: list(names) for name, names in certificates.items() if (edge if name == "edge" else data)}
        if own:
            found[host] = {"certificates": own, "address": addresses.get("all", {}).get(host, "")}
    return found


def given_entries(given: Mapping[str, Mapping[str, str]]) -> list[dict[str, object]]:
    """Return the same for `edge_certificates`, which hosts only watch."""
    return [
        {
            "name": f"given-{name}",
            "names": [],
            "source": "",
            "renewed_by": f"you renew it in edge_certificates.{name}",
            "files": [{"path": f"/etc/haproxy/certificates/given-{name}.pem", "parts": []}],
            "reload": [],
        }
        for name in given
    ]


def hook_secrets(wanted: Mapping[str, str], secrets: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the environment of the hook for DNS-01: {variable: value of the given secret}."""
    return {variable: secrets[path]["value"] for variable, path in wanted.items()}


def given_files(
    given: Mapping[str, Mapping[str, str]], secrets: Mapping[str, Mapping[str, str]]
) -> list[dict[str, object]]:
    """Return the files (for `template_tree`) of `edge_certificates`: chain and key, which is a given secret."""
    return [
        {
            "dest": f"/etc/haproxy/certificates/given-{name}.pem",
            "content": f"{own['chain'].strip()}\n{secrets[own['key']]['value'].strip()}\n",
            "mode": "0640",
            "group": "haproxy",
            "secret": True,
        }
        for name, own in given.items()
    ]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
