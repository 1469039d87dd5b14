"""Services' secrets: paths in Vault, and the environment of containers."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.service_secrets import (
    database_url,
    secret_environment,
    secret_paths,
)
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


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_password_works_in_the_url(password: str) -> None:
    parts = urlsplit(database_url("orders", "blue", password, "database.test"))
    assert (parts.hostname, parts.port, parts.path) == ("database.test", 5432, "/orders")
    assert unquote(parts.password or "") == password
