# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Providers in the mode of an environment: their addresses, their secrets, and what services get of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.bundle.environment_file import secret_problems
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.service_secrets import (
    given_paths,
    secret_environment,
    secret_paths,
    settable,
)
from ansible.module_utils.greenroom.controller.providers import providers
from outside_services import CATALOG, SHOP

VALUES = {
    "pay/sandbox": {"value": "sk_test_1"},
    "mail/user": {"value": "a user@x"},
    "mail/password": {"value": "p:/@ss"},
    "own/key": {"value": "own"},
}


def resolved(**chosen: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = providers.resolved(CATALOG, chosen, {"shop": SHOP})
    return found


def test_only_providers_with_a_mode_are_in_use() -> None:
    assert resolved() == {}
    assert providers.resolved(CATALOG, None, {"shop": SHOP}) == {}
    assert list(resolved(payment={"mode": "sandbox"}, relay={"mode": "off"})) == ["payment"]
    # Validation reports these.
    assert resolved(payment={"mode": "live"}, other={"mode": "stub"}, relay="stub") == {}


def test_a_provider_has_what_its_mode_and_the_environment_say() -> None:
    found = resolved(payment={"mode": "sandbox", "budget": {"day": 500}, "addresses": ["198.51.100.0/24"]})
    assert found == {
        "payment": {
            "kind": "payment",
            "mode": "sandbox",
            "url": "https://api.pay.test",
            "scheme": "https",
            "host": "api.pay.test",
            "port": 443,
            "tls": "implicit",
            "hosts": ["api.pay.test", "files.pay.test"],
            "addresses": ["198.51.100.0/24"],
            "budget": {"minute": 60, "day": 500},
            "recipients": None,
            "values": {},
            "secrets": {"key": "pay/sandbox"},
            "services": ["shop"],
        }
    }
    stub = resolved(payment={"mode": "stub", "url": "http://other.test"})["payment"]
    assert (stub["host"], stub["port"], stub["tls"], stub["values"]) == ("other.test", 80, "none", {"key": "sk_test_x"})
    mail = resolved(relay={"mode": "live", "recipients": []})["relay"]
    assert (mail["port"], mail["tls"], mail["recipients"]) == (465, "implicit", [])
    assert resolved(relay={"mode": "live", "url": "smtp://relay.test", "secrets": {}})["relay"]["tls"] == "starttls"


def test_a_kind_names_its_only_provider() -> None:
    found = resolved(relay={"mode": "stub"})
    assert providers.named("mail", found) == "relay"
    assert providers.named("sms", found) is None
    assert found["relay"]["services"] == ["shop"]
    both = {**found, "other": found["relay"]}
    assert providers.named("mail", both) is None
    assert providers.provider_of(both, "mail") == {}


def test_a_service_gets_secrets_and_addresses_by_name() -> None:
    found = resolved(payment={"mode": "sandbox"}, relay={"mode": "live"})
    values = providers.with_secrets(VALUES, SHOP, found)
    assert secret_environment(SHOP, "blue", values, "database.test") == {
        "PAY_KEY": "sk_test_1",
        "MAIL_URL": "smtps://a%20user%40x:p%3A%2F%40ss@mail.test:465/",
        "OWN": "own",
    }
    wanted = {"PAY_URL": "https://api.pay.test", "MAIL_FROM": "a@mail.test", "PLAIN": 1}
    assert providers.environment(SHOP, found) == wanted
    assert providers.secret_paths(found) == ["mail/password", "mail/user", "pay/sandbox"]


def test_a_service_does_without_what_is_off() -> None:
    found = resolved(payment={"mode": "stub"})
    values = providers.with_secrets(VALUES, SHOP, found)
    assert secret_environment(SHOP, "blue", values, "database.test") == {"PAY_KEY": "sk_test_x", "OWN": "own"}
    wanted = {"PAY_URL": "http://stub.test:8420", "MAIL_FROM": "nobody@mail.test", "PLAIN": 1}
    assert providers.environment(SHOP, found) == wanted
    assert providers.secret_paths(found) == []


def test_a_secret_of_a_stub_is_generated_and_not_put() -> None:
    chosen = {"mode": "stub", "secrets": {"key": {"value": "pay-key"}}}
    found = resolved(payment=chosen)
    path = "environment/value/pay-key"
    assert (providers.generated_paths(found), providers.secret_paths(found)) == ([path], [])
    assert providers.settable({"shop": SHOP}, found) == {}
    values = providers.with_secrets({path: {"value": "generated"}, "own/key": {"value": "own"}}, SHOP, found)
    assert secret_environment(SHOP, "blue", values, "database.test")["PAY_KEY"] == "generated"


def test_a_mail_server_without_tls_says_so() -> None:
    found = resolved(relay={"mode": "stub"})["relay"]
    assert providers.login_url(found, {}) == "smtp://sandbox.test:1025/?disable_starttls=true"


def test_secrets_of_providers_are_no_secrets_of_the_service() -> None:
    """Nothing generates them, and an operator puts them at the provider's path."""
    services = {"shop": SHOP}
    assert secret_paths(services) == given_paths(services) == ["own/key"]
    assert settable(services) == {"own/key": False}


def test_a_secret_with_two_lines_is_refused_with_its_variable() -> None:
    services = {"shop": SHOP}
    values = {**VALUES, "pay/sandbox": {"value": "a\nb"}}
    found = providers.with_all_secrets(values, services, resolved(payment={"mode": "sandbox"}))
    (line,) = secret_problems(services, found, "staging")
    assert "(PAY_KEY of shop) has more than one line" in line


def test_without_providers_nothing_is_copied() -> None:
    plain = normalise("plain", {"image": "plain", "environment": {"A": "b"}}, "/services/plain")
    assert providers.with_secrets(VALUES, plain, {}) is VALUES
    assert providers.with_all_secrets(VALUES, {"plain": plain}, {}) is VALUES
    assert providers.environment(plain, {}) == {"A": "b"}


def test_folders_with_a_provider_are_loaded(tmp_path: Path) -> None:
    for name in ("one", "two", ".git"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "provider.yml").write_text(f"kind: {name}")
    (tmp_path / "empty").mkdir()
    found = providers.load(str(tmp_path), lambda file: yaml.safe_load(Path(file).read_text()))
    assert found == {"one": {"kind": "one"}, "two": {"kind": "two"}}
    assert providers.load(str(tmp_path / "missing"), lambda _file: None) == {}


@pytest.mark.parametrize("url", ["", "no url", "https://", "https://a:b", "https://[::1"])
def test_what_is_no_url_has_no_host(url: str) -> None:
    provider = resolved(payment={"mode": "stub", "url": url} if url else {"mode": "stub", "url": ""})["payment"]
    assert (provider["host"], provider["port"], provider["hosts"]) == ("", 0, [])
