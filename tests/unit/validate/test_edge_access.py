# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The variables that say who enters at the edge, and how long connections last."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.validate.edge_access import client_ca_problems, connection_problems
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.datetime.now(datetime.UTC)


def certificate(subject: str, issuer: str, days: int = 1, *, ca: bool | None = True) -> str:
    """A certificate that ends in `days`; with `ca=None` it doesn't say whether it is a CA's."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    builder = x509.CertificateBuilder(names[1], names[0], KEY.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - datetime.timedelta(days=9))
    builder = builder.not_valid_after(NOW + datetime.timedelta(days=days))
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


ROOT, SECOND = certificate("root", "root"), certificate("second", "root")
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


@pytest.mark.parametrize("given", [None, "", "\n", ROOT, f"# Staff\n{SECOND}\n{ROOT}", ["x"]])
def test_a_ca_with_its_root_is_right(given: Any) -> None:
    assert list(client_ca_problems(given)) == []


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ("/etc/ca.pem", ["no certificates in PEM; set the content of a file"]),
        (ROOT.replace("MII", "???"), ["no certificates in PEM; set the content of a file"]),
        (PRIVATE, ["contains a private key; set only certificates"]),
        (ROOT + PRIVATE, ["contains a private key; set only certificates"]),
        (SECOND, ['the issuer of "CN=second" is missing; add all certificates up to the root']),
        (certificate("ann", "ann", ca=False), ['"CN=ann" is not the certificate of a CA']),
        (certificate("ann", "ann", ca=None), ['"CN=ann" is not the certificate of a CA']),
        (certificate("old", "old", days=-1), [f'"CN=old" expired on {NOW - datetime.timedelta(days=1):%Y-%m-%d}']),
    ],
)
def test_what_is_no_ca_is_reported_without_the_value(given: str, lines: list[str]) -> None:
    found = list(client_ca_problems(given))
    assert [line.partition(", such as")[0] for line in found] == [f"edge_client_ca: {line}" for line in lines]
    assert "MI" not in "".join(found)


@pytest.mark.parametrize(("hours", "reloads"), [(1, 1), ("24", "10"), (168, 50), (None, None), ("x", "x")])
def test_connections_may_last_a_week(hours: Any, reloads: Any) -> None:
    assert list(connection_problems(hours, reloads)) == []


def test_connections_last_neither_forever_nor_no_time() -> None:
    assert list(connection_problems(600, 0)) == [
        "edge_connection_hours: 600 is out of range; set a number of hours, a week at most",
        "edge_connection_reloads: 0 is out of range; set a number of reloads, 50 at most",
    ]
    assert len(list(connection_problems(-1, 51))) == 2
