"""Secrets in Vault: read, created once, certificates issued in time; every failure is one line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import hvac.exceptions
import pytest
import requests
from ansible.module_utils.greenroom.controller.vault import refusals
from ansible.module_utils.greenroom.controller.vault.passwords import generate, new_secret
from ansible.module_utils.greenroom.controller.vault.secrets import Secrets, VaultError, needs_issue
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeVault:
    """The parts of an hvac client that are used; `store` = {path: (version, content)}."""

    def __init__(self, **store: Any) -> None:
        self.store: dict[str, tuple[int, Any]] = dict(store)
        self.issued: list[dict[str, Any]] = []
        kv = SimpleNamespace(v2=self)
        self.secrets = SimpleNamespace(kv=kv, pki=self)

    def read_secret_version(self, path: str, mount_point: str, raise_on_deleted_version: bool) -> dict[str, Any]:
        assert mount_point == "greenroom"
        assert not raise_on_deleted_version
        if path.endswith("forbidden"):
            raise hvac.exceptions.Forbidden("permission denied")
        if path not in self.store:
            raise hvac.exceptions.InvalidPath
        version, content = self.store[path]
        return {"data": {"data": content, "metadata": {"version": version}}}

    def create_or_update_secret(self, path: str, secret: Any, cas: int, mount_point: str) -> None:
        assert mount_point == "greenroom"
        if self.store.get(path, (0, None))[0] != cas:
            raise hvac.exceptions.InvalidRequest("check-and-set parameter did not match the current version")
        self.store[path] = (cas + 1, secret)

    def generate_certificate(self, **arguments: Any) -> dict[str, Any]:
        self.issued.append(arguments)
        chain = {} if arguments["common_name"] == "root" else {"ca_chain": ["middle", "top"]}
        return {"data": {"certificate": "c", "private_key": "k", "issuing_ca": "i", **chain}}


def secrets(client: FakeVault) -> Secrets:
    return Secrets(client, "greenroom", "staging", hvac.exceptions.InvalidPath)


def test_existing_secrets_are_read_and_deleted_or_missing_ones_omitted() -> None:
    client = FakeVault(**{"staging/a/value/x": (1, {"value": "v"}), "staging/a/value/deleted": (2, None)})
    assert secrets(client).read(["a/value/x", "a/value/deleted", "a/value/none"]) == {"a/value/x": {"value": "v"}}


def test_an_error_names_the_action() -> None:
    with pytest.raises(VaultError, match=r"^reading greenroom/staging/forbidden$") as error:
        secrets(FakeVault()).read(["forbidden"])
    assert isinstance(error.value.__cause__, hvac.exceptions.Forbidden)


def test_creating_never_overwrites() -> None:
    client = FakeVault()
    secrets(client).create(["shop/login/blue", "shop/ring/csrf", "shop/value/key"])
    kinds = {path: list(content) for path, (_, content) in client.store.items()}
    assert kinds == {
        "staging/shop/login/blue": ["password"],
        "staging/shop/ring/csrf": ["values"],
        "staging/shop/value/key": ["value"],
    }
    with pytest.raises(VaultError, match="creating greenroom/staging/shop/login/blue"):
        secrets(client).create(["shop/login/blue"])


def test_a_deleted_secret_is_created_over_its_last_version() -> None:
    client = FakeVault(**{"staging/a/value/x": (2, None)})
    found = secrets(client)
    assert found.read(["a/value/x"]) == {}
    found.create(["a/value/x"])
    assert client.store["staging/a/value/x"][0] == 3


def test_a_certificate_is_issued_and_kept() -> None:
    client = FakeVault(**{"staging/environment/certificate/edge": (4, {"certificate": "old"})})
    found = secrets(client)
    found.read(["environment/certificate/edge"])
    found.issue("environment/certificate/edge", ["a.test", "*.a.test"], "pki", "staging")
    assert client.issued == [
        {
            "name": "staging",
            "common_name": "a.test",
            "extra_params": {"alt_names": "a.test,*.a.test"},
            "mount_point": "pki",
        }
    ]
    stored = client.store["staging/environment/certificate/edge"]
    assert stored == (5, {"certificate": "c", "private_key": "k", "ca_chain": "middle\ntop"})
    found.issue("environment/certificate/root", ["root"], "pki", "staging")
    assert client.store["staging/environment/certificate/root"][1]["ca_chain"] == "i"


def certificate(days: int, names: list[str]) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(item) for item in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return {"certificate": built.public_bytes(serialization.Encoding.PEM).decode()}


def test_a_certificate_is_reissued_when_it_expires_or_its_names_change() -> None:
    names = ["a.test", "*.a.test"]
    assert needs_issue(None, names, 30)
    assert needs_issue(certificate(29, names), names, 30, NOW)
    assert not needs_issue(certificate(31, names), [*reversed(names)], 30, NOW)
    assert needs_issue(certificate(31, names), ["a.test"], 30, NOW)


def test_generated_secrets_need_no_quoting() -> None:
    first, second = generate(), generate()
    assert first != second
    assert len(first) == 32
    assert first.isalnum()
    assert first.isascii()
    assert len(new_secret("kratos/ring/cipher")["values"]) == 32


def test_missing_secrets_are_reported_with_the_command() -> None:
    assert refusals.missing_line("staging", ["b", "a"]) == (
        "secrets of staging are missing: a, b; "
        "run: ansible-playbook -i inventories/staging playbooks/secrets.yml -e create=missing"
    )


def connection_refused() -> Exception:
    try:
        requests.get("https://127.0.0.1:1/", timeout=5)
    except requests.exceptions.RequestException as error:
        return error
    raise AssertionError("something listens on port 1")


@pytest.mark.parametrize(
    ("error", "doing", "line"),
    [
        (
            connection_refused(),
            "the login",
            " can't be reached ([Errno 111] Connection refused); check that it is running, and check secrets_url",
        ),
        (
            requests.exceptions.ReadTimeout(),
            "the login",
            " can't be reached (ReadTimeout); check that it is running, and check secrets_url",
        ),
        (
            requests.exceptions.SSLError(requests.exceptions.ConnectionError("verify failed: self-signed certificate")),
            "the login",
            ": its certificate is not trusted (self-signed certificate); check secrets_url and environment_ca_file",
        ),
        (
            OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /x"),
            "the login",
            ": Could not find a suitable TLS CA certificate bundle, invalid path: /x; check environment_ca_file",
        ),
        (
            hvac.exceptions.VaultDown("Vault is sealed"),
            "the login",
            " is sealed; unseal it (your own OpenBao: playbooks/vault-unseal.yml), then run this again",
        ),
        (
            hvac.exceptions.InvalidRequest(errors=["invalid role or secret ID"]),
            "the login (approle)",
            " refuses the login (approle): invalid role or secret ID; check secrets_auth and the files it names",
        ),
        (
            hvac.exceptions.Forbidden("permission denied"),
            "reading greenroom/staging/x",
            " refuses reading greenroom/staging/x (permission denied); check the login (secrets_auth) and its policy",
        ),
        (
            hvac.exceptions.InvalidRequest("check-and-set parameter did not match"),
            "creating x",
            " refuses creating x: another run created it meanwhile; run this again",
        ),
        (hvac.exceptions.InternalServerError("boom"), "reading x", " failed at reading x: boom; see its log"),
    ],
)
def test_every_failure_is_one_line(error: Exception, doing: str, line: str) -> None:
    assert refusals.explain(error, "https://vault:8200", doing) == f"Vault at https://vault:8200{line}"
