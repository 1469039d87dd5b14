"""Services' secrets: paths in Vault, and the environment of containers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from ansible.module_utils.greenroom.controller.catalogue.catalogue import load, normalise
from ansible.module_utils.greenroom.controller.catalogue.connection_forms import PARTS
from ansible.module_utils.greenroom.controller.catalogue.service_secrets import (
    database_url,
    secret_environment,
    secret_paths,
)
from ansible.module_utils.greenroom.data_stores import postgres
from hypothesis import given
from hypothesis import strategies as st

SHOP = normalise(
    "shop", {"secrets": {"DSN": {"login": "orders"}, "KEYS": {"ring": "csrf"}, "API": {"value": "key"}}}, "/s"
)
WORKER = normalise("worker", {"secrets": {"DSN": {"login": "orders", "of": "shop"}}}, "/w")
CATALOGUE = {"shop": SHOP, "worker": WORKER}


def test_logins_have_a_path_for_each_slot() -> None:
    assert secret_paths(CATALOGUE) == ["shop/login/blue", "shop/login/green", "shop/ring/csrf", "shop/value/key"]
    assert secret_paths({"worker": WORKER}, ["green"]) == ["shop/login/green"]


def test_a_container_gets_the_login_of_its_slot_and_shared_rings() -> None:
    values = {
        "shop/login/blue": {"password": "p/w"},
        "shop/ring/csrf": {"values": "new,old"},
        "shop/value/key": {"value": "v"},
    }
    assert secret_environment(SHOP, "blue", values, "database.test", 6432) == {
        "DSN": "postgres://orders_blue:p%2Fw@database.test:6432/orders"
        "?sslmode=verify-full&sslrootcert=/etc/greenroom/ca.crt",
        "KEYS": "new,old",
        "API": "v",
    }
    assert "orders_blue:p%2Fw@d:5432" in secret_environment(WORKER, "blue", values, "d")["DSN"]


def environment(secrets: dict[str, Any]) -> dict[str, str]:
    shop = normalise("shop", {"database": "orders", "secrets": secrets}, "/s")
    values = {
        "shop/login/blue": {"password": "p w'\\"},
        "shop/broker/blue": {"password": "q"},
        "a/key": {"value": "k\nl"},
    }
    broker = {"host": "mq.test", "vhost": "stage"}
    found: dict[str, str] = secret_environment(shop, "blue", values, "db.test", 6432, broker=broker)
    return found


@pytest.mark.parametrize(
    ("secret", "value"),
    [
        ({"form": "postgresql+psycopg2"}, "postgresql+psycopg2://orders_blue:p%20w%27%5C@db.test:6432/orders?{}"),
        ({"form": "postgresql", "options": {}}, "postgresql://orders_blue:p%20w%27%5C@db.test:6432/orders"),
        (
            {"form": "postgresql+asyncpg", "options": {"ssl": "verify-full"}},
            "postgresql+asyncpg://orders_blue:p%20w%27%5C@db.test:6432/orders?ssl=verify-full",
        ),
        ({"form": "jdbc"}, "jdbc:postgresql://db.test:6432/orders?user=orders_blue&password=p%20w%27%5C&{}"),
        (
            {"form": "keywords"},
            "host=db.test port=6432 dbname=orders user=orders_blue password='p w\\'\\\\' "
            "sslmode=verify-full sslrootcert=/etc/greenroom/ca.crt",
        ),
        ({"part": "host"}, "db.test"),
        ({"part": "port"}, "6432"),
        ({"part": "user"}, "orders_blue"),
        ({"part": "password"}, "p w'\\"),
        ({"part": "name"}, "orders"),
        ({"part": "ca"}, "/etc/greenroom/ca.crt"),
        ({"file": "/run/secrets/url"}, "/run/secrets/url"),
    ],
)
def test_a_login_has_the_form_that_the_program_reads(secret: dict[str, Any], value: str) -> None:
    options = "sslmode=verify-full&sslrootcert=/etc/greenroom/ca.crt"
    assert environment({"V": {"login": "orders", **secret}}) == {"V": value.replace("{}", options)}


def test_a_broker_has_parts_and_a_given_secret_can_be_a_file() -> None:
    parts = {part: {"broker": "shop", "part": part} for part in PARTS if part != "prefix"}
    found = environment(parts)
    assert list(found.values()) == ["mq.test", "5671", "shop_blue", "q", "stage", "/etc/greenroom/ca.crt"]
    assert environment({"KEY": {"given": "a/key", "file": "/run/key"}}) == {"KEY": "/run/key"}


def test_each_further_database_has_a_login_of_its_own() -> None:
    files = {
        "shop": {
            "database": "orders",
            "databases": ["facts"],
            "secrets": {"A": {"login": "orders"}, "B": {"login": "facts"}},
        },
        "worker": {"secrets": {"B": {"login": "facts", "of": "shop"}}},
    }
    catalogue = loaded(files)
    assert secret_paths(catalogue) == [
        *("shop/login/blue", "shop/login/facts_blue", "shop/login/facts_green", "shop/login/green")
    ]
    values = {"shop/login/facts_blue": {"password": "f"}, "shop/login/blue": {"password": "o"}}
    assert "facts_blue:f@d:5432/facts?" in secret_environment(catalogue["worker"], "blue", values, "d")["B"]
    wanted = postgres.desired(catalogue, values, ["blue"])["databases"]
    assert wanted == {"orders": {"logins": {"orders_blue": "o"}}, "facts": {"logins": {"facts_blue": "f"}}}


def loaded(files: dict[str, Any]) -> dict[str, Any]:
    """Return the catalog of these services."""
    with tempfile.TemporaryDirectory() as folder:
        for name in files:
            (Path(folder) / name).mkdir()
            (Path(folder) / name / "service.yml").touch()
        found: dict[str, Any] = load(folder, lambda file: files[Path(file).parent.name])
    return found


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_password_works_in_the_url(password: str) -> None:
    parts = urlsplit(database_url("orders", "blue", password, "database.test"))
    assert (parts.hostname, parts.port, parts.path) == ("database.test", 5432, "/orders")
    assert unquote(parts.password or "") == password
