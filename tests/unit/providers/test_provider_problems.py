# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with providers is reported with file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.providers import problems, providers
from ansible.module_utils.greenroom.controller.providers.schema import provider_errors
from outside_services import CATALOG, SHOP

ROOT = Path(__file__).resolve().parents[3]
READY = providers.load(str(ROOT / "providers"), lambda file: yaml.safe_load(Path(file).read_text()))
USER = normalise("user", {"image": "user", "providers": list(READY)}, "/services/user")


def found(chosen: Any, *, protected: bool = False, also: str = "", **services: Any) -> list[str]:
    """Return the lines of an environment with CATALOG."""
    known = {name: normalise(name, {"image": name, **its}, f"/services/{name}") for name, its in services.items()}
    files = (Path("/nowhere"), Path("/somewhere/services"))
    return list(
        problems.problems(
            files,
            lambda _path: None,
            CATALOG,
            chosen,
            known,
            render=lambda value: value,
            protected=protected,
            also=also,
        )
    )


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({"modes": {"stub": {}}}, "kind: missing"),
        ({"kind": "mial", "modes": {"stub": {}}}, 'kind: unknown value "mial"; did you mean "mail"?'),
        ({"kind": "mail", "modes": {"test": {}}}, "modes.test: unknown key"),
        ({"kind": "mail", "modes": {"stub": {"uri": "x"}}}, 'modes.stub.uri: unknown key; did you mean "url"?'),
        ({"kind": "mail", "modes": {}}, "modes: a mapping is not a mapping with at least one mode"),
        ({"kind": "mail", "modes": {"stub": {"secrets": {"key": "x"}}}}, "modes.stub.secrets.key: expected a mapping"),
        ({"kind": "http", "modes": {"stub": {}}, "budget": {"day": 0}}, "budget.day: 0 is too small"),
        ({"kind": "http", "modes": {"stub": {}}, "budget": {"day": 1.0}}, "budget.day: expected an integer"),
        ({"kind": "http", "modes": {"stub": {}}, "recipients": []}, "recipients: a provider of the kind http sends to"),
    ],
)
def test_a_mistake_in_a_file_is_named(raw: Any, line: str) -> None:
    assert [each for each in provider_errors(raw) if each.startswith(line)]


def test_folders_are_checked(tmp_path: Path) -> None:
    (tmp_path / "providers/Bad_Name").mkdir(parents=True)
    (tmp_path / "providers/none").mkdir()
    (tmp_path / "providers/mail").mkdir()
    for name in ("Bad_Name", "mail"):
        (tmp_path / "providers" / name / "provider.yml").write_text("{kind: sms, modes: {stub: {}}}")
    lines = list(problems.file_problems(tmp_path / "providers", lambda path: yaml.safe_load(path.read_text())))
    assert [line.partition(": ")[0] for line in lines] == [
        "providers/Bad_Name",
        "providers/mail/provider.yml",
        "providers/none",
    ]


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        ({"paymnet": {"mode": "stub"}}, 'environment_providers.paymnet: unknown provider; did you mean "payment"?'),
        ({"payment": "stub"}, "environment_providers.payment: expected a mapping"),
        ({"payment": {}}, "environment_providers.payment.mode: missing"),
        ({"payment": {"mode": "tset"}}, 'environment_providers.payment.mode: unknown value "tset"'),
        ({"payment": {"mode": "live"}}, "environment_providers.payment.mode: payment has no mode live; it has sandbox"),
        ({"relay": {"mode": "live"}}, "environment_providers.relay.mode: live, but the environment is not protected"),
        (
            {"payment": {"mode": "stub", "url": "ftp://x"}},
            'environment_providers.payment.url: "ftp://x" is not a URL that',
        ),
        ({"payment": {"mode": "stub", "url": "http://a:secret@x"}}, "environment_providers.payment.url: has a login"),
        ({"payment": {"mode": "stub", "tls": "implicit"}}, "environment_providers.payment.tls: implicit does not fit"),
        (
            {"payment": {"mode": "stub", "tls": "starttls"}},
            "environment_providers.payment.tls: http:// has no starttls",
        ),
        (
            {"payment": {"mode": "stub", "addresses": ["x"]}},
            'environment_providers.payment.addresses[0]: "x" is neither',
        ),
        (
            {"payment": {"mode": "stub", "hosts": ["https://x"]}},
            'environment_providers.payment.hosts: "https://x" is no',
        ),
        (
            {"payment": {"mode": "stub", "budget": {"hour": 1}}},
            "environment_providers.payment.budget.hour: unknown key",
        ),
        ({"payment": {"mode": "sandbox"}}, "environment_providers.payment: no service uses it"),
    ],
)
def test_a_mistake_of_an_environment_is_named(chosen: Any, line: str) -> None:
    lines = found(chosen)
    assert len(lines) == 1
    assert lines[0].startswith(line)
    assert "secret" not in lines[0].partition(": ")[2].replace("`secrets`", "")


def test_a_stub_may_be_unused() -> None:
    assert found({"payment": {"mode": "stub"}}) == []


def test_mail_leaves_an_environment_with_tls_only() -> None:
    service = {"environment": {"A": {"provider": "mail", "field": "host"}}}
    (line,) = found({"relay": {"mode": "live", "url": "smtp://x.test", "tls": "none"}}, protected=True, shop=service)
    assert line.startswith("environment_providers.relay.tls: none, but mail has codes")
    assert found({"relay": {"mode": "stub"}}, shop=service) == []


def test_live_is_for_protected_environments() -> None:
    service = {"environment": {"A": {"provider": "relay", "field": "host"}}}
    assert found({"relay": {"mode": "live"}}, protected=True, shop=service) == []
    assert found({"relay": {"mode": "live"}}, protected=True, also="relay") == []


@pytest.mark.parametrize(
    ("service", "line"),
    [
        (
            {"secrets": {"A": {"provider": "payment"}}},
            "secrets.A.provider: payment is off in this environment; set its",
        ),
        ({"secrets": {"A": {"provider": "paymnt"}}}, "secrets.A.provider: paymnt is off in this environment"),
        (
            {"secrets": {"A": {"provider": "mail", "field": "kee"}}},
            'secrets.A.field: relay has no "kee" in the mode stub',
        ),
        (
            {"environment": {"A": {"provider": "mail", "field": "login_url"}}},
            "environment.A.field: login_url of relay is",
        ),
        ({"environment": {"A": {"provider": "payment"}}}, "environment.A.provider: payment is off"),
        ({"providers": ["payment"]}, "providers[0]: payment is off"),
    ],
)
def test_what_a_service_does_not_get_is_named(service: Any, line: str) -> None:
    user = {"providers": ["relay"]}
    (told,) = found({"relay": {"mode": "stub"}}, user=user, shop=service)
    assert told.startswith(f"services/shop/service.yml: {line}")


def test_what_may_be_missing_is_no_mistake() -> None:
    optional = {
        "secrets": {"A": {"provider": "payment", "optional": True}},
        "environment": {"B": {"provider": "sms", "default": ""}},
    }
    assert found({}, shop=optional) == []


def test_two_providers_of_a_kind_are_told_apart() -> None:
    service = {
        "secrets": {"A": {"provider": "mail", "field": "host", "optional": True}},
        "providers": ["relay", "other"],
    }
    shop = normalise("shop", {"image": "shop", **service}, "/services/shop")
    used = providers.resolved(
        {**CATALOG, "other": CATALOG["relay"]}, {key: {"mode": "stub"} for key in ("relay", "other")}, {"shop": shop}
    )
    lines = list(problems.use_problems({"shop": shop}, "services", used, used))
    assert lines == [
        "services/shop/service.yml: secrets.A.provider: relay and other are both of the kind mail; name one of them"
    ]


def test_a_value_that_cant_be_rendered_is_named() -> None:
    def render(_value: object) -> object:
        raise ValueError("'x' is undefined")

    files = (Path("/nowhere/providers"), Path("/somewhere/services"))
    chosen = {"payment": {"mode": "stub"}}
    lines = list(
        problems.problems(files, lambda _path: None, CATALOG, chosen, {"shop": SHOP}, render=render, protected=False)
    )
    assert lines == ["providers/payment/provider.yml: modes.stub: 'x' is undefined"]


@pytest.mark.parametrize("name", READY)
def test_a_ready_made_provider_is_valid_in_each_mode(name: str) -> None:
    """Those without an address of their own want the inventory's."""
    assert provider_errors(READY[name]) == []
    for mode, its in READY[name]["modes"].items():
        needs = (
            {} if its.get("url") else {"url": "smtp://x.test" if READY[name]["kind"] == "mail" else "https://x.test"}
        )
        if READY[name]["kind"] == "ldap":
            needs = {"url": "ldaps://x.test"}
        if "{{" in str(its.get("url")):
            needs = {"url": str(its["url"]).partition(":")[0] + "://x.test:1025"}
        chosen = {name: {"mode": mode, **needs}}
        assert list(problems.choice_problems(READY, chosen, protected=True)) == []
        used = providers.resolved(READY, chosen, {"user": USER})[name]
        assert used["host"]
        assert used["services"] == ["user"]
        if mode == "live":
            assert not set(used["secrets"].values()) & {
                secret.get("given")
                for other, own in READY[name]["modes"].items()
                if other != "live"
                for secret in own.get("secrets", {}).values()
            }
