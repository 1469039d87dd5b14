"""What the first place of the backups has lost comes back from the second one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from environment import Environment
from test_backup import sql

from bench.second_place import USER, on_place, second_place, silent_place

KEPT, COPY = "kept_by_a_test", "restored_by_a_test"
OTHER = "other_of_a_test"
"""Another database, whose pages a restored copy doesn't have."""
ROWS = "SELECT count(*) FROM orders;"


def play(environment: Environment, *words: str) -> None:
    run = environment.play(*words)
    assert run.code == 0, run.output


@pytest.fixture
def database(staging: Environment) -> Iterator[str]:
    """A database with 1000 rows, and none for its copy."""
    drop(staging)
    sql(staging, "postgres", f"CREATE ROLE {KEPT};")
    sql(staging, "postgres", f"CREATE DATABASE {KEPT} OWNER {KEPT};")
    sql(staging, "postgres", f"CREATE DATABASE {OTHER};")
    sql(staging, OTHER, "CREATE TABLE seen AS SELECT generate_series(1, 1000) AS id;")
    sql(staging, KEPT, f"SET ROLE {KEPT}; CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id;")
    yield KEPT
    drop(staging)


def drop(environment: Environment) -> None:
    for name in (KEPT, COPY, OTHER):
        sql(environment, "postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE);")
    sql(environment, "postgres", f"DROP ROLE IF EXISTS {KEPT};")


def backups(environment: Environment, place: int) -> int:
    """How many backups a place has."""
    command = f"cd /; su postgres -c 'pgbackrest --stanza={environment.name} --repo={place} --output=json info'"
    return len(json.loads(environment.ask("ops1", command).stdout)[0]["backup"])


def test_a_lost_repository_is_restored_from_the_second_place(staging: Environment, database: str) -> None:
    with second_place(staging) as options:
        try:
            play(staging, "playbooks/backup.yml", *options)
            # The place has nothing that its owner can read.
            info = f"/home/{USER}/{staging.name}/backup/{staging.name}/backup.info"
            assert on_place(f"head -c 8 {info}") == "Salted__"

            # While it refuses the login, the first place gets all archives and its backup.
            before = backups(staging, 1)
            with silent_place():
                for _ in range(3):
                    sql(staging, database, "SELECT pg_current_xact_id(); SELECT pg_switch_wal();")
                run = staging.play("playbooks/backup.yml", *options)
                assert run.code != 0
                assert "not backed up to place: 2" in journal(staging)
                assert backups(staging, 1) == before + 1

            # A change of a page of another database, without the page itself, as autovacuum makes it at any time.
            sql(staging, OTHER, "VACUUM seen;")
            # Only the archive has these rows.
            sql(staging, database, f"SET ROLE {KEPT}; INSERT INTO orders SELECT generate_series(1001, 1500);")
            [moment] = sql(staging, database, "SELECT pg_sleep(1); SELECT to_char(now(), 'YYYY-MM-DD HH24:MI:SSOF');")[
                1:
            ]
            sql(staging, database, "SELECT pg_sleep(1); DROP TABLE orders; SELECT pg_switch_wal();")
            staging.ssh("data1", f"cd /; su postgres -c 'pgbackrest --stanza={staging.name} check'")

            staging.ssh("ops1", "find /var/lib/pgbackrest -mindepth 1 -delete")
            words = ("-e", f"database={database}", "-e", f"into={COPY}", "-e", f"restore_time='{moment}'")
            play(staging, "playbooks/restore.yml", *words, *options)
            assert sql(staging, COPY, ROWS) == ["1500"]
        finally:
            # The first place begins again, alone.
            play(staging, "playbooks/backup.yml")


def journal(environment: Environment) -> str:
    """The last lines of the backup."""
    return environment.ask("ops1", "journalctl -u 'greenroom-pgbackrest@*' -n 30 -o cat --no-pager").stdout
