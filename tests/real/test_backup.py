"""The continuous backup: copies of databases as they were, and their way into service."""

from __future__ import annotations

import json

import pytest
from environment import Environment, Run
from jobs import wait_until_done

TABLES = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
    "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
)
SCRATCH = "restored_by_a_test"
DAMAGED = "damaged_by_a_test"


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
def saved(staging: Environment, no_simulation: None, no_dead_letters: None) -> dict[str, dict[str, str]]:
    """The databases' content when playbooks/backup.yml ran. No simulation or job changes it afterwards."""
    drop_scratch(staging)
    wait_until_done(staging)
    run = staging.play("playbooks/backup.yml")
    assert run.code == 0, run.output
    return {database: content(staging, database) for database in ("kratos", "portal")}


def restore(environment: Environment, *words: str) -> Run:
    """Run playbooks/restore.yml with these variables."""
    return environment.play("playbooks/restore.yml", *(part for word in words for part in ("-e", word)))


@pytest.mark.parametrize("database", ["kratos", "portal"])
def test_a_copy_has_the_same_rows(staging: Environment, saved: dict[str, dict[str, str]], database: str) -> None:
    try:
        run = restore(staging, f"database={database}", f"into={SCRATCH}")
        assert run.code == 0, run.output
        copy = content(staging, SCRATCH)
        assert copy == saved[database], json.dumps([copy, saved[database]], indent=1)
        assert sum(int(line.split()[0]) for line in copy.values()) >= {"kratos": 100, "portal": 1}[database]
        assert len(copy) > 1
        if database == "portal":
            again = restore(staging, "database=portal", f"into={SCRATCH}")
            assert again.code != 0
            assert f"The database {SCRATCH} has" in again.errors
            assert "A backup can only be restored into an empty database" in again.errors
            assert content(staging, SCRATCH) == copy
    finally:
        drop_scratch(staging)


ROWS = "SELECT count(*) FROM orders;"


def test_a_dropped_table_comes_back_as_it_was_and_the_copy_takes_the_databases_place(staging: Environment) -> None:
    """A database of its own, which is newer than the last backup: only the archive has it."""
    names = (DAMAGED, SCRATCH, *(name for name in databases(staging) if name.startswith(f"{DAMAGED}_before_")))
    for name in names:
        sql(staging, "postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE);")
    sql(staging, "postgres", f"DROP ROLE IF EXISTS {DAMAGED}; CREATE ROLE {DAMAGED};")
    sql(staging, "postgres", f"CREATE DATABASE {DAMAGED} OWNER {DAMAGED};")
    try:
        sql(staging, DAMAGED, f"SET ROLE {DAMAGED}; CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id;")
        # The moment is between two commits; the clock of the server counts.
        [moment] = sql(
            staging, DAMAGED, "SELECT pg_sleep(1); SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS');"
        )[1:]
        sql(
            staging,
            DAMAGED,
            "SELECT pg_sleep(1); INSERT INTO orders SELECT generate_series(1001, 1500); DROP TABLE orders;",
        )
        run = restore(staging, f"database={DAMAGED}", f"into={SCRATCH}", f"restore_time='{moment}'")
        assert run.code == 0, run.output
        assert sql(staging, SCRATCH, ROWS) == ["1000"]

        unconfirmed = restore(staging, f"database={DAMAGED}", f"promote={SCRATCH}")
        assert unconfirmed.code != 0
        assert f"confirm with `-e confirm_promote={DAMAGED}`" in unconfirmed.errors
        run = restore(staging, f"database={DAMAGED}", f"promote={SCRATCH}", f"confirm_promote={DAMAGED}")
        assert run.code == 0, run.output
        assert sql(staging, DAMAGED, f"SET ROLE {DAMAGED}; {ROWS}") == ["1000"]
        assert SCRATCH not in databases(staging)
        assert any(name.startswith(f"{DAMAGED}_before_") for name in databases(staging))
    finally:
        for name in databases(staging):
            if name.startswith(DAMAGED) or name == SCRATCH:
                sql(staging, "postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE);")
        sql(staging, "postgres", f"DROP ROLE IF EXISTS {DAMAGED};")


def test_a_restore_over_the_database_itself_is_refused(staging: Environment, saved: dict[str, dict[str, str]]) -> None:
    run = restore(staging, "database=portal", "into=portal")
    assert run.code != 0
    assert "Name the database to restore and an empty one to restore into" in run.errors
    assert content(staging, "portal") == saved["portal"]


def databases(environment: Environment) -> set[str]:
    return set(sql(environment, "postgres", "SELECT datname FROM pg_database;"))


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (("database=portl",), "the backup has no database portl"),
        (("database=portal", "restore_time=2001"), "'2001' is neither a time nor a restore point"),
        (("database=portal", "restore_time=2001-01-01T00:00:00Z"), "the repository can restore times since"),
    ],
    ids=["database", "word", "time"],
)
def test_a_restore_of_what_there_is_not_creates_nothing(
    staging: Environment, saved: dict[str, dict[str, str]], wanted: tuple[str, ...], line: str
) -> None:
    before = databases(staging)
    run = restore(staging, *wanted, f"into={SCRATCH}")
    assert run.code != 0
    assert line in run.errors
    assert databases(staging) == before


def test_check_mode_restores_nothing(staging: Environment, saved: dict[str, dict[str, str]]) -> None:
    run = staging.play("playbooks/restore.yml", "--check", "-e", "database=portal", "-e", f"into={SCRATCH}")
    assert run.code == 0, run.output
    assert f"portal as of now would be restored into {SCRATCH}" in run.output
    assert SCRATCH not in databases(staging)
