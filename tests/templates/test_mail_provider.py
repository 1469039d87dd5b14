# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""With a mail provider, Kratos and the demo's worker send to its server, with TLS and its login."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from rendering import Rendered, render

URL = "smtp://relay.test:587"
WITH_LOGIN = "smtp://a%20user:p%3A%2Fss@relay.test:587/"


@pytest.fixture(scope="module")
def sending(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """An app host of staging with a mail server that wants a login."""
    secrets = {"smtp/account-user": {"value": "a user"}, "smtp/account-password": {"value": "p:/ss"}}
    chosen = {"smtp": {"mode": "account", "url": URL, "values": {"from": "staging@relay.test"}}}
    folder = tmp_path_factory.mktemp("sending")
    return render("staging", folder, roles=("bundle",), hosts="app1", secrets=secrets, environment_providers=chosen)


def lines(rendered: Rendered, path: str) -> list[str]:
    return (Path(rendered.folder) / "app1/etc/greenroom/slots/blue" / path).read_text().splitlines()


def test_the_login_is_only_where_it_is_needed(sending: Rendered) -> None:
    assert f"COURIER_SMTP_CONNECTION_URI={WITH_LOGIN}" in lines(sending, "kratos-courier/secrets")
    assert f"SMTP_URL={WITH_LOGIN}" in lines(sending, "portal-worker/secrets")
    assert "MAIL_FROM=staging@relay.test" in lines(sending, "portal-worker/environment")
    having = [path for path in sending.files() if "p%3A%2Fss" in path.read_text(errors="replace")]
    assert {path.name for path in having} == {"secrets"}
    assert {path.parent.name for path in having} == {"kratos-courier", "portal-worker"}


@pytest.mark.parametrize("service", ["kratos", "kratos-courier"])
def test_kratos_turns_tls_on(sending: Rendered, service: str) -> None:
    smtp = yaml.safe_load("\n".join(lines(sending, f"{service}/config/kratos.yml")))["courier"]["smtp"]
    assert smtp["connection_uri"] == f"{URL}/"
    assert smtp["from_address"] == "staging@relay.test"


def test_a_description_of_a_bundle_names_no_provider(sending: Rendered) -> None:
    text = (Path(sending.folder) / "app1/etc/greenroom/slots/blue.fact").read_text()
    assert "COURIER" not in text
    assert "SMTP_URL" not in text
