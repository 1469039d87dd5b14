"""The module postgres_databases at a real server, through a login that is no superuser, and with extensions."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from modules import run_module

from bench.identity_seed.servers import postgres


class Server:
    """A server on a port of this machine, with an administrator that may create roles and databases."""

    def __init__(self, port: int) -> None:
        self.port = port

    def sql(self, statement: str, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        words = ["psql", "-X", "-h", "127.0.0.1", "-p", str(self.port), "-U", user, "-d", database, "-qAtc", statement]
        done = subprocess.run(
            words, check=True, capture_output=True, text=True, env=os.environ | {"PGPASSWORD": password}
        )
        return done.stdout.strip()

    def converge(self, **arguments: Any) -> dict[str, Any]:
        login = {"user": "admin", "password": "secret", "sslmode": "disable"}
        server = {"host": "127.0.0.1", "port": self.port, **login, **arguments.pop("server", {})}
        result: dict[str, Any] = run_module("postgres_databases", server=server, **arguments)
        return result


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # Not below pytest's own folder, which another run as root closes to PostgreSQL.
    with tempfile.TemporaryDirectory() as folder, postgres(Path(folder) / "server", {"fsync": "off"}) as port:
        found = Server(port)
        found.sql("CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD 'secret'")
        found.sql("GRANT pg_read_all_data TO admin WITH ADMIN OPTION")
        # The superuser gets in without a password, all others need one.
        rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        Path(found.sql("SHOW hba_file")).write_text(rules)
        found.sql("SELECT pg_reload_conf()")
        yield found


WANTED: dict[str, Any] = {
    "databases": {"shop": {"logins": {"shop_blue": "first"}}},
    "readers": {"backup": "reader"},
    "extensions": {"shop": ["pg_trgm"]},
}


def test_an_administrator_elsewhere_sets_up_everything_once(server: Server) -> None:
    predicted = server.converge(check=True, **WANTED)
    assert predicted["changed"]
    assert server.sql("SELECT count(*) FROM pg_database WHERE datname = 'shop'") == "0"
    made = server.converge(**WANTED)
    assert not made.get("failed"), made["msg"]
    assert made["statements"] == predicted["statements"]
    assert made["statements"][-1] == 'CREATE EXTENSION IF NOT EXISTS "pg_trgm" CASCADE -- in shop'
    again = server.converge(**WANTED)
    assert (again["changed"], again["statements"], again["waiting"]) == (False, [], [])
    assert server.sql("SELECT similarity('shop', 'shops') > 0", "shop") == "t"
    # What a slot's login creates belongs to the owner role.
    server.sql("CREATE TABLE orders (number int)", "shop", "shop_blue", "first")
    assert server.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'orders'", "shop") == "shop"
    answered = server.converge(ask={"shop": "SELECT count(*) FROM orders"})
    assert answered["answers"] == {"shop": [{"count": 0}]}


def test_only_a_changed_password_is_set_again(server: Server) -> None:
    server.converge(**WANTED)
    changed = {**WANTED, "databases": {"shop": {"logins": {"shop_blue": "second"}}}}
    made = server.converge(**changed)
    assert made["statements"] == ["ALTER ROLE \"shop_blue\" LOGIN PASSWORD '…'"]
    assert server.converge(**changed)["statements"] == []
    server.converge(**WANTED)


def test_what_the_server_does_not_have_is_named(server: Server) -> None:
    result = server.converge(**WANTED | {"extensions": {"shop": ["nonesuch"]}})
    assert result["msg"] == (
        'PostgreSQL has no extension "nonesuch" for the database shop; name the Debian package that has it in '
        "service.yml: extensions: [{name: nonesuch, package: <package>}]"
    )
    refused = server.converge(server={"password": "wrong"}, **WANTED)
    assert refused["msg"].startswith("PostgreSQL at 127.0.0.1 can't read its state: ")
    assert "password authentication failed" in refused["msg"]
    unverified = server.converge(server={"sslmode": "verify-full", "ca": "-----BEGIN CERTIFICATE-----\n"}, **WANTED)
    assert "can't read its state" in unverified["msg"]


def test_a_database_with_another_encoding_is_refused_with_what_to_do(server: Server) -> None:
    server.converge(databases={"plain": {"logins": {}}}, encoding="SQL_ASCII", locale="C")
    assert server.sql("SHOW server_encoding", "plain") == "SQL_ASCII"
    refused = server.converge(databases={"plain": {"logins": {}}, "new": {"logins": {}}}, encoding="UTF8", locale="C")
    assert refused["failed"]
    assert "the database plain has the encoding SQL_ASCII, and not UTF8 (database_encoding)" in refused["msg"]
    assert "or state in the inventory what it has" in refused["msg"]
    assert server.sql("SELECT count(*) FROM pg_database WHERE datname = 'new'") == "0"


def test_a_migration_gives_up_a_lock_and_leaves_nothing_unfinished(server: Server) -> None:
    its: dict[str, Any] = {"databases": {"locked": {"logins": {"locked_blue": "first"}}}}
    server.converge(**its)
    login = ("locked", "locked_blue", "first")
    server.sql("CREATE TABLE orders AS SELECT 1 AS number FROM generate_series(1, 2)", *login)
    # Fails because of the duplicates, as a killed one does, and leaves its index behind.
    with pytest.raises(subprocess.CalledProcessError):
        server.sql("CREATE UNIQUE INDEX CONCURRENTLY half ON orders (number)", *login)
    began = server.converge(**its, lock_timeouts={"locked": "100ms"}, unfinished_indexes=["locked"])
    assert began["statements"] == [
        'ALTER ROLE "locked_blue" IN DATABASE "locked" SET lock_timeout = \'100ms\'',
        "DROP INDEX CONCURRENTLY IF EXISTS public.half -- in locked, a migration left it unfinished",
    ]
    assert server.sql("SELECT count(*) FROM pg_indexes WHERE indexname = 'half'", "locked") == "0"
    words = ["psql", "-X", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-d", "locked", "-qAt"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as live:
        assert live.stdin
        assert live.stdout
        live.stdin.write("BEGIN; SELECT count(*) FROM orders;\n")
        live.stdin.flush()
        assert live.stdout.readline() == "2\n"
        with pytest.raises(subprocess.CalledProcessError) as gave_up:
            server.sql("ALTER TABLE orders ADD note text", *login)
        assert "lock timeout" in gave_up.value.stderr
        live.stdin.close()
    ended = server.converge(**its)
    assert ended["statements"] == ['ALTER ROLE "locked_blue" IN DATABASE "locked" RESET lock_timeout']
    assert server.sql("SHOW lock_timeout", *login) == "0"
