"""Keys and certificates of the lab. They are created here, once; `make down` deletes them."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import paths
from .console import run
from .inventory import Host

FOLDER = paths.STATE / "keys"
DAYS = 3650


def ssh_pair(name: str, comment: str) -> Path:
    """Create the SSH key pair `name` unless it exists, and return the private key's file."""
    key = FOLDER / name
    paths.private_folder(key.parent)
    if not key.with_name(key.name + ".pub").exists():
        key.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", key])
    return key


def operator(environment: str) -> Path:
    """Return the operator's private key, which every host of the environment accepts, and no other host."""
    return ssh_pair(f"operators/{environment}", f"greenroom-lab {environment}")


def seed(host: Host) -> Path:
    """Write a host's SSH host key and authorized_keys. Returns the folder."""
    folder = paths.private_folder(FOLDER / "hosts" / host.container)
    ssh_pair(f"hosts/{host.container}/ssh_host_ed25519_key", host.name)
    paths.write(folder / "authorized_keys", _public(operator(host.environment)) + "\n")
    return folder


def known_hosts(hosts: list[Host]) -> str:
    """Return the lines of a known_hosts file for `hosts`."""
    lines = []
    for host in hosts:
        kind, key = _public(seed(host) / "ssh_host_ed25519_key").split()[:2]
        lines.append(f"{host.address} {kind} {key}\n")
    return "".join(lines)


def _public(private: Path) -> str:
    return private.with_name(private.name + ".pub").read_text().strip()


def authority() -> tuple[Path, Path]:
    """Create the lab's certificate authority unless it exists; return the files of its certificate and key."""
    folder = paths.private_folder(FOLDER / "authority")
    certificate_file, key_file = folder / "ca.crt", folder / "ca.key"
    if not certificate_file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Greenroom lab CA")])
        now = datetime.datetime.now(datetime.UTC)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, hashes.SHA256())
        )
        paths.write(key_file, _pem(key), 0o600)
        paths.write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_file, key_file


def server(host: Host) -> tuple[Path, Path]:
    """Create the certificate of the servers on `host` unless it exists; return the files of certificate and key."""
    folder = seed(host)
    certificate_file, key_file = folder / "server.crt", folder / "server.key"
    if not certificate_file.exists():
        ca_file, ca_key_file = authority()
        ca = x509.load_pem_x509_certificate(ca_file.read_bytes())
        ca_key = serialization.load_pem_private_key(ca_key_file.read_bytes(), None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        names = [f"{name}.{host.domain}" for name in ("vault", "registry", host.name)]
        addresses = [ipaddress.ip_address(address) for address in (host.address, "127.0.0.1")]
        alternatives = [*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=DAYS // 5))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        paths.write(key_file, _pem(key), 0o600)
        paths.write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_file, key_file


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:

    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())
