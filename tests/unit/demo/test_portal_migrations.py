"""The demo portal's migrations: what each version needs is there, wherever a database comes from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.script import ScriptDirectory
from portal import migrate
from portal.settings import Settings
from portal.tables import jobs, metadata, receipts
from sqlalchemy import Connection, MetaData, create_engine, inspect, make_url, text

HEADS = {version: Settings(make_url("sqlite://"), version=version).schema_head for version in ("1.0.0", "1.1.0")}
SCRIPTS = ScriptDirectory(str(migrate.MIGRATIONS))


@pytest.fixture
def database() -> Iterator[Connection]:
    with create_engine("sqlite://").connect() as connection:
        yield connection


def columns(database: Connection) -> dict[str, set[str]]:
    """The tables and their columns."""
    found = inspect(database)
    names = set(found.get_table_names()) - {"alembic_version"}
    return {name: {column["name"] for column in found.get_columns(name)} for name in names}


def wanted(notes: bool) -> dict[str, set[str]]:
    """What the portal's statements name."""
    tables = {table.name: {column.name for column in table.columns} for table in metadata.sorted_tables}
    return tables if notes else tables | {"orders": tables["orders"] - {"note"}}


@pytest.mark.parametrize("version", HEADS)
# When jobs and receipts were part of the first migration, any of these was made with them.
@pytest.mark.parametrize("had_receipts", [False, True])
@pytest.mark.parametrize("at", ["", "0001", "0002"])
def test_a_database_of_any_age_is_upgraded(database: Connection, at: str, had_receipts: bool, version: str) -> None:
    if at:
        migrate.upgrade(database, at)
        assert not {"jobs", "receipts"} & set(columns(database))
    if at and had_receipts:
        MetaData.create_all(metadata, database, [jobs, receipts])
        database.execute(text("INSERT INTO receipts (order_id, slot, sent_at) VALUES ('7', 'blue', '2026-01-01')"))
        database.commit()
    assert migrate.upgrade(database, HEADS[version]) == (at or None)
    assert columns(database) == wanted(notes=version == "1.1.0" or at == "0002")
    # What was in it stays, and the version after finds its way from there.
    assert database.scalar(text("SELECT count(*) FROM receipts")) == int(bool(at) and had_receipts)
    database.commit()
    migrate.upgrade(database, HEADS["1.1.0"])
    assert columns(database) == wanted(notes=True)
    assert database.scalars(text("SELECT version_num FROM alembic_version")).all() == [HEADS["1.1.0"]]


def test_the_version_before_leaves_a_newer_schema_alone(database: Connection) -> None:
    migrate.upgrade(database, HEADS["1.1.0"])
    before = columns(database)
    assert migrate.upgrade(database, HEADS["1.0.0"]) == HEADS["1.1.0"]
    assert columns(database) == before


def test_migrations_are_numbered_and_come_together_in_the_newest() -> None:
    found = sorted(script.revision for script in SCRIPTS.walk_revisions())
    assert found == [f"{number:04}" for number in range(1, len(found) + 1)]
    assert SCRIPTS.get_heads() == [found[-1]] == [HEADS["1.1.0"]]


@pytest.mark.parametrize("head", sorted(HEADS.values()))
def test_a_higher_number_has_all_that_a_version_needs(head: str) -> None:
    """A portal compares its number with the highest one of the database."""
    higher = [script.revision for script in SCRIPTS.walk_revisions() if script.revision >= head]
    needs = {script.revision for script in SCRIPTS.iterate_revisions(head, "base")}
    for revision in higher:
        assert needs <= {script.revision for script in SCRIPTS.iterate_revisions(revision, "base")}
