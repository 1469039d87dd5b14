"""Dumps, and restores from them."""

from __future__ import annotations

import json

import pytest
from environment import Environment
from jobs import wait_until_done

TABLES = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
    "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
)
SCRATCH = "restored_by_a_test"


def sql(environment: Environment, database: str, statement: str) -> list[str]:
    """The result of a statement as lines, run by the database's superuser."""
    command = f"su postgres -c 'psql -XAtq -v ON_ERROR_STOP=1 -d {database}' <<'END'\n{statement}\nEND\n"
    return environment.ssh("data1", f"cd /\n{command}").stdout.splitlines()


def drop_scratch(environment: Environment) -> None:
    sql(environment, "postgres", f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE);")


def content(environment: Environment, database: str) -> dict[str, str]:
    """Count and checksum of every table's rows, in any order."""
    tables = sorted(sql(environment, database, TABLES))
    sums = ";\n".join(
        f"SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, chr(10) ORDER BY t::text)), '') FROM {table} t"
        for table in tables
    )
    return dict(zip(tables, sql(environment, database, f"{sums};"), strict=True))


@pytest.fixture(scope="module")
def dumped(staging: Environment, no_simulation: None, no_dead_letters: None) -> dict[str, dict[str, str]]:
    """The databases' content when playbooks/backup.yml dumped them. No simulation or job changes it afterwards."""
    drop_scratch(staging)
    wait_until_done(staging)
    run = staging.play("playbooks/backup.yml")
    assert run.code == 0, run.output
    return {database: content(staging, database) for database in ("kratos", "portal")}


@pytest.mark.parametrize("database", ["kratos", "portal"])
def test_a_restored_dump_has_the_same_rows(
    staging: Environment, dumped: dict[str, dict[str, str]], database: str
) -> None:
    arguments = ("-e", f"database={database}", "-e", f"into={SCRATCH}")
    try:
        run = staging.play("playbooks/restore.yml", *arguments)
        assert run.code == 0, run.output
        restored = content(staging, SCRATCH)
        assert restored == dumped[database], json.dumps([restored, dumped[database]], indent=1)
        assert sum(int(line.split()[0]) for line in restored.values()) >= {"kratos": 100, "portal": 1}[database]
        assert len(restored) > 1
        if database == "portal":
            again = staging.play("playbooks/restore.yml", *arguments)
            assert again.code != 0
            assert f"The database {SCRATCH} has" in again.errors
            assert "A dump can only be restored into an empty database" in again.errors
            assert content(staging, SCRATCH) == restored
    finally:
        drop_scratch(staging)


def test_a_restore_over_the_database_itself_is_refused(staging: Environment, dumped: dict[str, dict[str, str]]) -> None:
    run = staging.play("playbooks/restore.yml", "-e", "database=portal", "-e", "into=portal")
    assert run.code != 0
    assert "Name the database to restore and an empty one to restore into" in run.errors
    assert content(staging, "portal") == dumped["portal"]


def databases(environment: Environment) -> set[str]:
    return set(sql(environment, "postgres", "SELECT datname FROM pg_database;"))


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (("database=portl",), "There is no dump of portl in /var/backups/greenroom/portl on ops1"),
        (("database=portal", "restore_time=2001"), "There is no dump of portal of 2001 in"),
    ],
    ids=["database", "time"],
)
def test_a_restore_without_a_dump_creates_nothing(
    staging: Environment, dumped: dict[str, dict[str, str]], wanted: tuple[str, ...], line: str
) -> None:
    before = databases(staging)
    run = staging.play(
        "playbooks/restore.yml", *(part for word in (*wanted, f"into={SCRATCH}") for part in ("-e", word))
    )
    assert run.code != 0
    assert line in run.errors
    assert databases(staging) == before


def test_check_mode_names_the_dump(staging: Environment, dumped: dict[str, dict[str, str]]) -> None:
    run = staging.play("playbooks/restore.yml", "--check", "-e", "database=portal", "-e", f"into={SCRATCH}")
    assert run.code == 0, run.output
    assert f"would be restored into {SCRATCH}" in run.output
    assert SCRATCH not in databases(staging)
