# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Sign-in providers: the variable, and the client in Vault."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.catalogue import providers

URL = "https://portal.staging.greenroom.test"
COMPANY: dict[str, Any] = {
    "name": "company",
    "label": "the company account",
    "issuer": "https://198.18.30.11:9443",
    "client_id": "greenroom-staging",
    "smoke_login": True,
}
CLIENT = {
    "client_id": "greenroom-staging",
    "client_secret": "a secret",
    "redirect_uri": f"{URL}/self-service/methods/oidc/callback/company",
    "password": "a password",
}
FOREIGN = {
    **CLIENT,
    "client_id": "greenroom-production",
    "redirect_uri": CLIENT["redirect_uri"].replace("staging", "production"),
}


def problems(provider: dict[str, Any], client: dict[str, Any] | None) -> list[str]:
    """The problems of a staging run with one provider and this client in Vault."""
    secrets = {} if client is None else {"environment/oidc/company": client}
    lines: list[str] = providers.client_problems([provider], secrets, "staging", URL)
    return lines


def test_the_client_of_the_environment_is_valid() -> None:
    assert problems(COMPANY, CLIENT) == []


@pytest.mark.parametrize("keys", [["client_id"], ["redirect_uri"], ["client_id", "redirect_uri"]])
def test_a_client_of_another_environment_is_rejected_in_one_line(keys: list[str]) -> None:
    (line,) = problems(COMPANY, {**CLIENT, **{key: FOREIGN[key] for key in keys}})
    assert line.startswith("staging/environment/oidc/company holds the client of another environment: ")
    assert all(f'{key} "{FOREIGN[key]}" instead of "{CLIENT[key]}"' in line for key in keys)
    assert "\n" not in line
    assert CLIENT["client_secret"] not in line
    assert CLIENT["password"] not in line


@pytest.mark.parametrize(
    ("client", "missing"),
    [
        (None, "client_id, redirect_uri, client_secret, password"),
        ({**CLIENT, "client_secret": ""}, "client_secret"),
        ({key: value for key, value in CLIENT.items() if key != "password"}, "password"),
    ],
)
def test_a_missing_key_is_reported(client: dict[str, Any] | None, missing: str) -> None:
    (line,) = problems(COMPANY, client)
    assert f"staging/environment/oidc/company lacks {missing} (" in line


def test_a_provider_without_test_accounts_needs_no_password() -> None:
    client = {key: value for key, value in CLIENT.items() if key != "password"}
    assert problems({**COMPANY, "smoke_login": False}, client) == []
    assert providers.passwords([{**COMPANY, "smoke_login": False}], {}) == {}


def test_each_foreign_client_is_reported() -> None:
    second = {**COMPANY, "name": "other"}
    secrets = {"environment/oidc/company": FOREIGN, "environment/oidc/other": FOREIGN}
    assert len(providers.client_problems([COMPANY, second], secrets, "staging", URL)) == 2


def test_a_trailing_slash_of_the_public_url_does_not_matter() -> None:
    assert providers.redirect_uri(f"{URL}/", "company") == CLIENT["redirect_uri"]


def test_origins_of_issuers_are_distinct() -> None:
    issuers = ["https://a.test/realms/x", "https://a.test/realms/y", "https://b.test:8443"]
    assert providers.origins([{"issuer": issuer} for issuer in issuers]) == ["https://a.test", "https://b.test:8443"]


def test_smoke_checks_get_the_passwords() -> None:
    assert providers.passwords([COMPANY], {"environment/oidc/company": CLIENT}) == {
        "provider_company_password": "a password"
    }
    assert providers.secret_paths([COMPANY]) == ["environment/oidc/company"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"name": "a-company"}, 'identity_providers[0].name: "a-company" is not a name'),
        ({"name": ""}, "identity_providers[0].name"),
        ({"issuer": "http://198.18.30.11"}, 'identity_providers[0].issuer: "http://198.18.30.11" is not an https'),
        ({"issuer": "198.18.30.11:9443"}, "identity_providers[0].issuer"),
    ],
)
def test_an_invalid_setting_is_reported(change: dict[str, Any], line: str) -> None:
    (found,) = providers.setting_problems([{**COMPANY, **change}])
    assert line in found


def test_duplicate_names_are_rejected() -> None:
    assert list(providers.setting_problems([COMPANY, COMPANY])) == [
        'identity_providers[1].name: "company" is used twice'
    ]
    assert list(providers.setting_problems([COMPANY, {**COMPANY, "name": "other"}])) == []
