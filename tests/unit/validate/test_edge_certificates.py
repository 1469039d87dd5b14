# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Certificates that an operator gives, or orders by ACME: refused before any host is touched if they are wrong."""

from __future__ import annotations

import base64
import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.hosts import certificates
from ansible.module_utils.greenroom.controller.validate.edge_certificates import certificate_problems
from ansible.module_utils.greenroom.controller.vault import local_ca
from ansible.module_utils.greenroom.controller.vault.key_match import key_problem
from ansible.module_utils.greenroom.controller.vault.passwords import new_key, new_secret
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

CA, OTHER = local_ca.new_authority("one"), local_ca.new_authority("two")
SHOP = local_ca.issue(CA, ["shop.test", "*.shop.test"])
RIGHT = {"chain": SHOP["certificate"], "key": "certificates/shop"}
SERVICES: dict[str, Any] = {"shop": {"routes": [{"path": "/", "hosts": ["api.shop.test"]}]}}


def problems(folder: Path = Path(), later: int = 0, services: Any = SERVICES, **variables: Any) -> list[str]:
    """What is wrong with these variables, in `later` days."""
    values = {"environment_public_name": "shop.test", "edge_ca": CA["certificate"], **variables}
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=later)
    return list(certificate_problems(values.get, services, str(folder), now))


def test_nothing_given_is_right() -> None:
    assert problems() == []
    assert problems(edge_ca="", edge_certificates={}, edge_acme={}) == []


@pytest.mark.parametrize("chain", [SHOP["certificate"], f"{SHOP['certificate']}\n{CA['certificate']}"])
def test_a_certificate_of_an_own_ca_is_right(chain: str) -> None:
    assert problems(edge_certificates={"shop": RIGHT | {"chain": chain}}) == []


def test_a_chain_that_no_client_would_accept_is_refused() -> None:
    (line,) = problems(edge_certificates={"shop": RIGHT}, edge_ca=OTHER["certificate"])
    assert line.startswith(
        'edge_certificates.shop.chain: the chain ends with "CN=shop.test", and none in edge_ca is its issuer; add'
    )
    (line,) = problems(edge_certificates={"shop": RIGHT}, edge_ca="")
    assert "and no public CA is its issuer" in line
    assert line.endswith("or set edge_ca to the root of a CA of your own")
    (line,) = problems(edge_certificates={"shop": RIGHT | {"chain": f"{SHOP['certificate']}\n{OTHER['certificate']}"}})
    assert '"CN=Greenroom CA of two" has not issued "CN=shop.test"' in line


def test_dates_and_names_are_checked() -> None:
    (line,) = problems(later=400, edge_certificates={"shop": RIGHT})
    assert line.startswith('edge_certificates.shop.chain: "CN=shop.test" expired on ')
    (line,) = problems(later=-1, edge_certificates={"shop": RIGHT}, edge_ca="")[:1]
    assert "is valid only from" in line
    (line,) = problems(edge_certificates={"shop": RIGHT}, environment_public_name="portal.test")
    assert line == (
        "edge_certificates: no certificate is for portal.test; add one that has the name, or a wildcard for it"
    )
    # With a port, as in edge_public_names.
    assert problems(edge_certificates={"shop": RIGHT}, edge_public_names=["shop.test:8443"]) == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"Shop": RIGHT}, "the name may have lowercase letters"),
        ({"shop": "file.pem"}, "expected chain"),
        ({"shop": RIGHT | {"chain": "x"}}, "no certificates in PEM"),
        ({"shop": RIGHT | {"chain": SHOP["private_key"]}}, "put the key with playbooks/secret.yml"),
    ],
)
def test_another_form_is_refused(given: Any, text: str) -> None:
    assert text in problems(services={}, edge_certificates=given)[0]


@pytest.mark.parametrize(
    ("acme", "text"),
    [
        ({}, ""),
        ({"email": "a@b.test"}, ""),
        ({"email": "a@b.test", "directory": "https://ca.test/dir", "server_ca": CA["certificate"]}, ""),
        ({"directory": "https://ca.test/dir"}, "edge_acme.email: set the mail address"),
        ({"email": "a@b.test", "directory": "ca.test"}, "edge_acme.directory: expected the URL"),
        ({"email": "a@b.test", "server_ca": "x"}, "edge_acme.server_ca: no certificates in PEM"),
        ({"email": "a@b.test", "hooks": "x"}, 'edge_acme.hooks: unknown key; did you mean "hook"?'),
        ({"email": "a@b.test", "hook": "x"}, "edge_acme.hook: there is no file "),
        ({"email": "a@b.test", "secrets": {"token": "dns/token"}}, "edge_acme.secrets.token: expected VARIABLE"),
    ],
)
def test_settings_of_acme(tmp_path: Path, acme: Any, text: str) -> None:
    found = problems(tmp_path, edge_acme=acme)
    assert [text in line for line in found] == ([True] if text else []), found


def test_a_wildcard_needs_a_hook(tmp_path: Path) -> None:
    services = {"shop": {"routes": [{"path": "/", "hosts": ["*.shop.test"]}]}}
    (line,) = problems(tmp_path, services=services, edge_acme={"email": "a@b.test"})
    assert line.startswith("edge_acme.hook: *.shop.test needs the challenge DNS-01")
    (tmp_path / "hook.sh").write_text("#!/bin/sh\n")
    assert problems(tmp_path, services=services, edge_acme={"email": "a@b.test", "hook": "hook.sh"}) == []


def test_both_at_once_are_refused() -> None:
    found = problems(edge_certificates={"shop": RIGHT}, edge_acme={"email": "a@b.test"})
    assert found == [
        "edge_acme: edge_certificates is set, too; remove one of them: certificates are given, or come by ACME"
    ]


def test_the_key_must_be_the_certificates() -> None:
    assert key_problem(SHOP["certificate"], SHOP["private_key"]) == ""
    assert key_problem(SHOP["certificate"], new_key()) == "is the key of another certificate"
    assert key_problem(SHOP["certificate"], "x") == "is not a private key in PEM without a password"


def test_the_thumbprint_is_that_of_the_standard() -> None:
    # The key of RFC 7515, appendix A.3.
    number = int.from_bytes(base64.urlsafe_b64decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI="))
    form = (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    key = ec.derive_private_key(number, ec.SECP256R1()).private_bytes(*form).decode()
    assert certificates.acme_thumbprint(key) == "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"
    # lego reads only this form.
    assert new_secret("environment/acme/edge")["account_key"].startswith("-----BEGIN EC PRIVATE KEY-----")


def test_clients_trust_the_environments_ca_and_that_of_the_certificate() -> None:
    assert certificates.edge_trust(f"{CA['certificate']}\n", OTHER["certificate"]) == (
        f"{CA['certificate']}\n{OTHER['certificate']}\n"
    )
    assert certificates.edge_trust(CA["certificate"], "").count("BEGIN CERTIFICATE") > 50


def test_a_host_may_renew_only_what_it_has() -> None:
    groups = {"edge": ["a"], "data": ["b", "c"]}
    wanted = {"edge": ["shop.test"], "postgres": ["db.test"]}
    assert certificates.host_certificates(["a", "b", "c"], groups, wanted, {"all": {"a": "192.0.2.1"}}) == {
        "a": {"certificates": {"edge": ["shop.test"]}, "address": "192.0.2.1"},
        "b": {"certificates": {"postgres": ["db.test"]}, "address": ""},
    }
