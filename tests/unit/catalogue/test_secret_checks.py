"""Rules for secrets and databases of services: given secrets, files, forms, further databases, extensions."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.service_checks import problems
from ansible.module_utils.greenroom.controller.catalogue.service_schema import structure_errors
from ansible.module_utils.greenroom.data_stores.databases import extension_packages, extensions

KEY = {"given": "third-party/key"}


@pytest.mark.parametrize(
    ("part", "line"),
    [
        (
            {"secrets": {"K": {"given": "../other"}}},
            "secrets.K.given: the value is not a path in Vault such as third-party/key, "
            "of lowercase letters, digits, -, _ and /",
        ),
        (
            {"secrets": {"K": {"given": "a/b", "of": "shop"}}},
            "secrets.K.of: not needed; services that name the same path share the secret",
        ),
        ({"secrets": {"K": {"value": "a", "part": "host"}}}, "secrets.K.part: a value has no parts; remove it"),
        ({"secrets": {"K": {"given": "a", "form": "jdbc"}}}, "secrets.K.form: only a login has it; remove it"),
        (
            {"secrets": {"K": {"login": "a", "form": "jdbc", "part": "host"}}},
            "secrets.K.form: a part has no other form; remove one of them",
        ),
        (
            {"secrets": {"K": KEY | {"file": "/run/../etc/passwd"}}},
            "secrets.K.file: the value is not the path of a file, which starts with / and has only letters, digits, -, "
            "_, . and /",
        ),
        (
            {"database": "shop", "extensions": ["pg_trgm; DROP"]},
            'extensions[0]: "pg_trgm; DROP" is not the name of an extension, or a mapping of `name` and `package`, '
            "the Debian package that has it",
        ),
        (
            {"databases": ["Shop"]},
            "databases: a list is not a list of names of lowercase letters, digits and _, or a mapping of such names "
            "with `extensions`",
        ),
    ],
)
def test_a_wrong_key_is_reported(part: dict[str, Any], line: str) -> None:
    assert structure_errors({"image": "shop", **part}) == [line]


@pytest.mark.parametrize(
    "part",
    [
        {"secrets": {"K": KEY}},
        {"secrets": {"K": KEY | {"file": "/run/secrets/key.pem"}}},
        {"secrets": {"K": {"login": "a", "form": "postgresql+psycopg2", "options": {"ssl": "x"}, "file": "/run/a"}}},
        {"database": "a", "extensions": ["uuid-ossp", {"name": "vector", "package": "postgresql-17-pgvector"}]},
        {"databases": {"facts": {"extensions": ["pg_trgm"]}, "more": {}}},
    ],
)
def test_these_keys_are_right(part: dict[str, Any]) -> None:
    assert structure_errors({"image": "shop", **part}) == []


def found(*services: dict[str, Any]) -> list[tuple[str, str]]:
    catalogue = {raw["name"]: normalise(raw["name"], raw, "/services/x") for raw in services}
    lines: list[tuple[str, str]] = problems(catalogue, {"app": ["app1"]})
    return lines


@pytest.mark.parametrize(
    ("part", "line"),
    [
        (
            {"secrets": {"K": {"given": "environment/value/signing"}}},
            'secrets.K.given: "environment/value/signing" is among the environment\'s own secrets; choose another path',
        ),
        (
            {"secrets": {"K": {"given": "shop/value/x"}}},
            'secrets.K.given: "shop/value/x" is the path of a generated secret of shop; choose another path',
        ),
        (
            {"config_path": "/etc/shop", "secrets": {"K": KEY | {"file": "/etc/shop/key"}}},
            "secrets.K.file: /etc/shop/key is in `config_path`, which is read-only; choose another folder",
        ),
        (
            {"secrets": {"K": KEY | {"file": "/etc/greenroom/ca.crt"}}},
            "secrets.K.file: /etc/greenroom/ca.crt is taken (Greenroom mounts the CA there); choose another path",
        ),
        (
            {"secrets": {"J": KEY | {"file": "/run/a"}, "K": KEY | {"file": "/run/a/b"}}},
            "secrets.K.file: /run/a/b is in the way of the file of J; choose another path",
        ),
        (
            {"extensions": ["pg_trgm"]},
            "extensions: they are of `database`, which is missing; name those of `databases` there",
        ),
        ({"database": "a", "databases": ["a"]}, 'databases: "a" is also in `database`; remove one of them'),
        ({"databases": ["template1"]}, 'databases: "template1" is PostgreSQL\'s own; choose another name'),
        (
            {"database": "a", "databases": ["a_blue"]},
            'databases: the PostgreSQL role "a_blue" is also one of shop; choose another name',
        ),
        ({"secrets": {"K": {"login": "b"}}, "databases": ["a"]}, 'secrets.K.login: shop declares no database "b"'),
    ],
)
def test_what_does_not_fit_together_is_reported(part: dict[str, Any], line: str) -> None:
    assert ("shop", line) in [
        (name, text.split("; did you mean")[0].split("; known")[0]) for name, text in found({"name": "shop", **part})
    ]


def test_a_database_belongs_to_one_service_and_others_log_in_to_it() -> None:
    shop = {"name": "shop", "databases": ["facts"]}
    login = {"login": "facts", "of": "shop"}
    assert found(shop, {"name": "jobs", "secrets": {"URL": login}}) == []
    assert found(shop, {"name": "jobs", "database": "facts"}) == [("jobs", 'database: "facts" belongs to shop')]
    assert found(shop, {"name": "jobs", "secrets": {"URL": {"login": "facts"}}}) == [
        ("jobs", 'secrets.URL.login: jobs declares no database "facts"; add `of: shop`')
    ]


def test_extensions_are_found_with_their_packages() -> None:
    raw = {
        "database": "shop",
        "extensions": ["pg_trgm", "vector"],
        "databases": {"maps": {"extensions": [{"name": "h3", "package": "postgresql-17-h3"}]}},
    }
    catalogue = {"shop": normalise("shop", raw, "/s")}
    assert extensions(catalogue) == {"maps": ["h3"], "shop": ["pg_trgm", "vector"]}
    assert extension_packages(catalogue) == ["postgresql-17-h3", "postgresql-17-pgvector"]
