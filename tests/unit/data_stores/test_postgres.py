"""Databases and logins: the statements that lead to the desired state."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.data_stores import postgres, scram
from hypothesis import given, settings
from hypothesis import strategies as st

NOTHING: dict[str, Any] = {"roles": {}, "members": [], "databases": {}}
CATALOGUE = {"shop": {"database": "shop"}, "mailer": {"database": None}}
SECRETS = {"shop/login/blue": {"password": "b"}, "shop/login/green": {"password": "g"}}


def there() -> dict[str, Any]:
    """The state of a server that is up to date with `wanted()`."""
    return {
        "roles": {
            "shop": {"login": False, "password": None, "role": None},
            "shop_blue": {"login": True, "password": scram.verifier("b"), "role": "shop"},
            "backup": {"login": True, "password": scram.verifier("r"), "role": None},
        },
        "members": [["shop", "shop_blue"], ["pg_read_all_data", "backup"]],
        "databases": {"shop": {"owner": "shop", "public": False, "connect": ["backup", "shop"]}},
    }


def wanted() -> dict[str, Any]:
    found: dict[str, Any] = postgres.desired(CATALOGUE, SECRETS, ["blue"], {"backup": "r"})
    return found


def without_verifiers(statements: list[str]) -> list[str]:
    return [postgres.without_verifiers(statement) for statement in statements]


def test_only_logins_of_the_given_slots_are_wanted() -> None:
    assert wanted() == {"databases": {"shop": {"logins": {"shop_blue": "b"}}}, "readers": {"backup": "r"}}
    both = postgres.desired(CATALOGUE, SECRETS, ["blue", "green"])
    assert both == {"databases": {"shop": {"logins": {"shop_blue": "b", "shop_green": "g"}}}, "readers": {}}
    assert postgres.desired(CATALOGUE, {}, ["blue"])["databases"] == {"shop": {"logins": {}}}


def test_an_empty_server_gets_everything_in_order() -> None:
    assert without_verifiers(postgres.plan(wanted(), NOTHING)) == [
        'CREATE ROLE "shop" NOLOGIN',
        "CREATE ROLE \"shop_blue\" LOGIN PASSWORD '…'",
        "ALTER ROLE \"shop_blue\" SET role = 'shop'",
        'GRANT "shop" TO "shop_blue"',
        'CREATE DATABASE "shop" OWNER "shop"',
        'REVOKE ALL ON DATABASE "shop" FROM PUBLIC',
        "CREATE ROLE \"backup\" LOGIN PASSWORD '…'",
        'GRANT "pg_read_all_data" TO "backup"',
        'GRANT CONNECT ON DATABASE "shop" TO "backup"',
    ]


def test_an_up_to_date_server_needs_no_statements() -> None:
    assert postgres.plan(wanted(), there()) == []


@pytest.mark.parametrize(
    ("place", "value", "statement"),
    [
        (("roles", "shop", "login"), True, 'ALTER ROLE "shop" NOLOGIN'),
        (("roles", "shop_blue", "login"), False, "ALTER ROLE \"shop_blue\" LOGIN PASSWORD '…'"),
        (("roles", "shop_blue", "password"), "md5abc", "ALTER ROLE \"shop_blue\" LOGIN PASSWORD '…'"),
        (("roles", "shop_blue", "password"), None, "ALTER ROLE \"shop_blue\" LOGIN PASSWORD '…'"),
        (("roles", "shop_blue", "role"), None, "ALTER ROLE \"shop_blue\" SET role = 'shop'"),
        (("databases", "shop", "owner"), "postgres", 'ALTER DATABASE "shop" OWNER TO "shop"'),
        (("databases", "shop", "public"), True, 'REVOKE ALL ON DATABASE "shop" FROM PUBLIC'),
        (("databases", "shop", "connect"), ["shop"], 'GRANT CONNECT ON DATABASE "shop" TO "backup"'),
        (("members",), [["shop", "shop_blue"]], 'GRANT "pg_read_all_data" TO "backup"'),
    ],
)
def test_one_difference_is_one_statement(place: tuple[str, ...], value: Any, statement: str) -> None:
    current = there()
    spot = current
    for key in place[:-1]:
        spot = spot[key]
    spot[place[-1]] = value
    assert without_verifiers(postgres.plan(wanted(), current)) == [statement]


def test_a_changed_password_is_sent_as_its_verifier_only() -> None:
    secrets = {"shop/login/blue": {"password": "new-and-secret"}}
    (statement,) = postgres.plan(postgres.desired(CATALOGUE, secrets, ["blue"], {"backup": "r"}), there())
    assert "new-and-secret" not in statement
    assert scram.matches(statement.split("'")[1], "new-and-secret")


def test_one_query_returns_the_state_of_wanted_objects() -> None:
    query = postgres.state_query(wanted())
    assert "rolname IN ('shop', 'shop_blue', 'backup')" in query
    assert "datname IN ('shop')" in query
    assert ";" not in query
    assert "IN (NULL)" in postgres.state_query({"databases": {}, "readers": {}})


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1))
def test_quoting_is_safe_for_any_name_or_string(text: str) -> None:
    assert postgres.identifier(text)[1:-1].replace('""', "") == text.replace('"', "")
    body = postgres.literal(text).lstrip(" E")
    assert body[0] == body[-1] == "'"
    assert body[1:-1].count("'") == 2 * text.count("'")
    assert body[1:-1].count("\\") == 2 * text.count("\\")


@pytest.mark.parametrize("quote", [postgres.identifier, postgres.literal])
def test_a_zero_byte_is_rejected(quote: Any) -> None:
    with pytest.raises(ValueError, match="zero byte"):
        quote("a\0b")


def test_the_verifier_equals_that_of_postgresql() -> None:
    # From PostgreSQL 15: CREATE ROLE x PASSWORD 'pencil', with its random salt.
    salt = bytes(range(16))
    found = scram.verifier("pencil", salt)
    assert found.startswith("SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$")
    assert scram.matches(found, "pencil")


@settings(max_examples=10, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_a_verifier_matches_only_its_password(password: str) -> None:
    assert scram.matches(scram.verifier(password), password)
    assert not scram.matches(scram.verifier(password), f"{password}x")


@pytest.mark.parametrize("password", ["", "é", "a\nb"])
def test_a_password_that_needs_saslprep_is_rejected(password: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        scram.verifier(password)


def test_logins_of_the_live_slot_are_created_on_a_new_server_and_never_changed() -> None:
    both = postgres.desired(CATALOGUE, SECRETS, ["blue"], {"backup": "r"}, ["green"])
    assert both["databases"]["shop"] == {"logins": {"shop_blue": "b"}, "kept": {"shop_green": "g"}}
    assert "rolname IN ('shop', 'shop_blue', 'shop_green', 'backup')" in postgres.state_query(both)
    assert without_verifiers(postgres.plan(both, there())) == [
        "CREATE ROLE \"shop_green\" LOGIN PASSWORD '…'",
        "ALTER ROLE \"shop_green\" SET role = 'shop'",
        'GRANT "shop" TO "shop_green"',
    ]
    current = there()
    current["roles"]["shop_green"] = {"login": True, "password": scram.verifier("of before"), "role": None}
    assert postgres.plan(both, current) == []


def test_a_new_database_has_the_stated_encoding_and_locale() -> None:
    stated = wanted() | {"encoding": "UTF8", "locale": "C.UTF-8"}
    assert (
        "CREATE DATABASE \"shop\" OWNER \"shop\" ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0"
        in postgres.plan(stated, NOTHING)
    )


@pytest.mark.parametrize(
    ("encoding", "locale", "lines"),
    [
        ("UTF8", "C.utf8", []),
        ("SQL_ASCII", "C.UTF-8", ["the database shop has the encoding SQL_ASCII, and not UTF8 (database_encoding)"]),
        ("UTF8", "de_DE.UTF-8", ["the database shop has the locale de_DE.UTF-8, and not C.UTF-8 (database_locale)"]),
    ],
)
def test_another_encoding_or_locale_is_told(encoding: str, locale: str, lines: list[str]) -> None:
    current = there() | {"kinds": {"shop": {"encoding": encoding, "locale": locale}}}
    assert postgres.other_kinds({"encoding": "UTF8", "locale": "C.UTF-8"}, current) == lines
    assert postgres.other_kinds({"encoding": "", "locale": None}, current) == []


def test_migrations_give_up_locks_and_other_sessions_do_not() -> None:
    migrating = wanted() | {"lock_timeouts": {"shop": "5s"}}
    place = 'ALTER ROLE "shop_blue" IN DATABASE "shop"'
    assert postgres.plan(migrating, there()) == [f"{place} SET lock_timeout = '5s'"]
    during = there() | {"lock_timeouts": [["shop_blue", "shop", "5s"], ["shop_green", "shop", "9s"]]}
    assert postgres.plan(migrating, during) == []
    # Also after a run that was killed in between.
    assert postgres.plan(wanted(), during) == [f"{place} RESET lock_timeout"]
