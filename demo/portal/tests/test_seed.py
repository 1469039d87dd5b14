"""The command ``seed`` with a real PostgreSQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from .real import PORTAL, wait_for

USERS = 600
SETTINGS = {"SET": "people", "SEED": "1", "VOLUME": "1", "UNTIL": "2026-11-01", "STATE": "present"}
# The content of a set's rows, without owners.
CONTENT = """
SELECT o.id, o.item, o.quantity, o.total_cents, o.state, o.created_at,
       p.id, p.state, p.amount_cents, a.id, a.street, a.since
FROM orders o JOIN addresses a ON a.id = address_id LEFT JOIN payments p ON p.order_id = o.id
WHERE o.seed_set = 'people' ORDER BY o.id, p.id
"""
# An address, an order and a payment, as the portal writes them.
OWN = """
WITH a AS (INSERT INTO addresses VALUES (gen_random_uuid(), '{0}', 's', '1', 'c', 'DE') RETURNING id),
o AS (INSERT INTO orders (id, owner, address_id, item, total_cents)
      SELECT gen_random_uuid(), '{0}', id, 'Headset', 14900 FROM a RETURNING id)
INSERT INTO payments SELECT gen_random_uuid(), id, 'card', 'captured', 14900 FROM o RETURNING id
"""


@dataclass
class Shop:
    """A portal with its own database, and a list of users."""

    database: psycopg.Connection[Any]
    environment: dict[str, str]
    users: Path

    def portal(self, command: str, version: str = "1.1.0", **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the portal as the container does."""
        told = {f"GREENROOM_SEED_{name}": value for name, value in (SETTINGS | changes).items()}
        return subprocess.run(
            [sys.executable, "-c", self.program(), command],
            env=self.environment | told | {"PORTAL_VERSION": version},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def program(self) -> str:
        """Return a program that runs the portal with the test's list of users."""
        return (
            "import pathlib, sys; from portal import commands, seed; "
            f"seed.seed.__defaults__ = (pathlib.Path({str(self.users)!r}),); sys.exit(commands.main(sys.argv[1:]))"
        )

    def seed(self, **changes: str) -> dict[str, Any]:
        """Seed and return the outcome."""
        done = self.portal("seed", **changes)
        assert done.returncode == 0, done.stdout + done.stderr
        outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return outcome

    def write_users(self, count: int, owners: str = "first") -> None:
        """Write the list of users; `owners` determines their identities."""
        names = [*map(str, range(1, count + 1)), "admin", "long-name"]
        lines = [
            json.dumps({"key": name, "id": str(uuid.uuid5(uuid.NAMESPACE_OID, owners + name)), "email": "x@y.invalid"})
            for name in names
        ]
        self.users.write_text("".join(f"{line}\n" for line in lines))

    def all(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self.database.execute(query.encode()).fetchall()

    def one(self, query: str) -> Any:
        """Return one value."""
        return self.all(query)[0][0]

    def count(self) -> dict[str, int]:
        """Return the rows of the set, by table."""
        tables = ("addresses", "orders", "payments")
        return {table: self.one(f"SELECT count(*) FROM {table} WHERE seed_set = 'people'") for table in tables}


@pytest.fixture
def start_shop(postgres: str, tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Yield a function that creates a database and migrates it for a version."""
    opened: list[psycopg.Connection[Any]] = []

    def start(version: str = "1.1.0") -> Shop:
        name = f"shop_{uuid.uuid4().hex}"
        with psycopg.connect(f"postgres://postgres@{postgres}/postgres", autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{name}" OWNER portal'.encode())
        opened.append(psycopg.connect(f"postgres://postgres@{postgres}/{name}", autocommit=True))
        environment = {
            "PYTHONPATH": str(PORTAL),
            "DATABASE_URL": f"postgres://portal_blue:blue-password@{postgres}/{name}?sslmode=disable",
            "PORTAL_CSRF_KEYS": "newest0csrf0key0",
        }
        shop = Shop(opened[-1], environment, tmp_path / "people.jsonl")
        shop.write_users(USERS)
        if version:
            assert shop.portal("migrate", version).returncode == 0
        return shop

    yield start
    for connection in opened:
        connection.close()


@pytest.fixture
def shop(start_shop: Callable[..., Shop]) -> Shop:
    """Return a shop of the newest version."""
    return start_shop()


def test_rows_are_consistent_and_look_like_a_real_shops(shop: Shop) -> None:
    """Amounts, states and dates are consistent; the number of orders is skewed and seasonal."""
    outcome = shop.seed()
    assert outcome["rows"] == shop.count()
    assert outcome["created"] == sum(shop.count().values())
    assert shop.one("SELECT count(*) FROM orders o LEFT JOIN addresses a ON a.id = address_id AND a.owner = o.owner "
                    "WHERE a.id IS NULL") == 0  # fmt: skip
    assert shop.one("SELECT count(*) FROM payments JOIN orders o ON o.id = order_id WHERE amount_cents <> total_cents "
                    "OR payments.created_at < o.created_at OR payments.created_at > '2026-11-01Z'") == 0  # fmt: skip
    paid = dict(shop.all("""
        SELECT state, array_agg(DISTINCT captured::text || refunded) FROM (
          SELECT o.state, count(*) FILTER (WHERE p.state = 'captured') AS captured,
                 least(count(*) FILTER (WHERE p.state = 'refunded'), 1) AS refunded
          FROM orders o LEFT JOIN payments p ON p.order_id = o.id GROUP BY o.id, o.state) AS each
        GROUP BY state"""))  # fmt: skip
    once = {state: ["10"] for state in ("paid", "packed", "shipped", "delivered")}
    assert {state: sorted(found) for state, found in paid.items()} == once | {
        "returned": ["01"], "cancelled": ["00", "01"], "placed": ["00"]
    }  # fmt: skip

    counts = sorted(number for (number,) in shop.all("SELECT count(*) FROM orders GROUP BY owner"))
    none = USERS + 2 - len(counts)
    assert 0.25 < none / USERS < 0.35
    # A tenth of the users with orders have more than a third of them, and the maximum is many times the median.
    assert sum(counts[-len(counts) // 10 :]) > sum(counts) / 3
    assert counts[-1] > 10 * counts[len(counts) // 2]
    months = dict(shop.all("SELECT extract(month FROM created_at)::int, count(*) FROM orders GROUP BY 1"))
    assert min(months[10], months[11]) > 1.4 * max(months[7], months[8])
    hours = dict(
        shop.all("SELECT extract(hour FROM created_at AT TIME ZONE 'UTC')::int, count(*) FROM orders GROUP BY 1")
    )
    assert hours[10] > 5 * hours.get(3, 0)
    assert shop.one("SELECT max(created_at) < '2026-11-01Z' AND min(created_at) > '2024-10-30Z' FROM orders")
    assert 0 < shop.one("SELECT count(*) FROM orders WHERE note IS NOT NULL") < sum(counts) / 4


def test_a_second_run_changes_nothing(shop: Shop) -> None:
    """Not even PostgreSQL's internal row versions."""
    shop.seed()
    before = shop.all("SELECT id, xmin::text, ctid::text FROM orders ORDER BY id")
    outcome = shop.seed()
    assert (outcome["changed"], outcome["created"], outcome["updated"], outcome["removed"]) == (False, 0, 0, 0)
    assert outcome["rows"] == shop.count()
    assert shop.all("SELECT id, xmin::text, ctid::text FROM orders ORDER BY id") == before


def test_changed_and_removed_rows_are_repaired(shop: Shop) -> None:
    """Rows that no longer belong to the set are removed."""
    shop.seed()
    before = shop.all(CONTENT)
    shop.all("UPDATE orders SET total_cents = 1, state = 'placed' WHERE state = 'delivered' RETURNING id")
    shop.all("DELETE FROM orders WHERE state = 'returned' RETURNING id")
    shop.all("INSERT INTO orders (id, owner, item, total_cents, seed_set) "
             "VALUES (gen_random_uuid(), 'x', 'Headset', 14900, 'people') RETURNING id")  # fmt: skip
    outcome = shop.seed()
    assert min(outcome["created"], outcome["updated"], outcome["removed"]) > 0
    assert shop.all(CONTENT) == before


def test_a_larger_volume_adds_orders_and_a_smaller_one_removes_them(shop: Shop) -> None:
    """The orders of volume 1 are among those of volume 3, and volume 0 has none."""
    shop.seed()
    before, content = {row[0] for row in shop.all("SELECT id FROM orders")}, shop.all(CONTENT)
    outcome = shop.seed(VOLUME="3")
    assert before < {row[0] for row in shop.all("SELECT id FROM orders")}
    assert 2.5 * len(before) < outcome["rows"]["orders"] < 3.5 * len(before)
    shop.seed()
    assert shop.all(CONTENT) == content
    assert shop.seed(VOLUME="0.1")["rows"]["orders"] < 0.2 * len(before)
    assert shop.seed(VOLUME="0")["rows"]["orders"] == 0


def test_only_rows_of_the_set_are_removed_and_come_back_the_same(shop: Shop) -> None:
    """A user's own rows, and those of another set, stay."""
    shop.seed()
    shop.seed(SET="others")
    owner = shop.one("SELECT owner FROM orders WHERE seed_set = 'people' LIMIT 1")
    for person in (owner, "a real one"):
        shop.all(OWN.format(person))
    others = [f"SELECT * FROM {table} WHERE seed_set IS DISTINCT FROM 'people' ORDER BY id" for table in shop.count()]
    kept, content = [shop.all(query) for query in others], shop.all(CONTENT)
    outcome = shop.seed(STATE="absent")
    assert set(shop.count().values()) == {0}
    assert outcome["removed"] > len(content)
    assert shop.seed(STATE="absent")["changed"] is False
    # The users are recreated, too: the same users with other identities.
    shop.write_users(USERS, "second")
    shop.seed()
    assert shop.all(CONTENT) == content
    assert [shop.all(query) for query in others] == kept
    assert all(len(rows) > 1 for rows in kept)


def test_expired_orders_of_synthetic_users_are_removed(shop: Shop) -> None:
    """Also those of users who no longer exist; the rows of a set and those of real users stay."""
    shop.seed()
    for mark, days in (("'(synthetic users)'", 29), ("'(synthetic users)'", 31), ("'people'", 31), ("NULL", 31)):
        shop.all("INSERT INTO orders (id, owner, item, total_cents, seed_set, created_at) VALUES (gen_random_uuid(), "
                 f"'gone', 'Headset', 14900, {mark}, now() - interval '{days} days') RETURNING id")  # fmt: skip
    outcome = shop.seed()
    assert (outcome["changed"], outcome["removed"], outcome["expired"]) == (True, 1, 1)
    assert shop.one("SELECT count(*) FROM orders WHERE owner = 'gone'") == 2
    assert shop.seed()["changed"] is False


def test_fewer_users_and_new_identities(shop: Shop) -> None:
    """The rows of removed users are removed; a new identity of a user gets the rows of the old one."""
    shop.seed()
    content = shop.all(CONTENT)
    shop.write_users(USERS, "second")
    outcome = shop.seed()
    assert (outcome["created"], outcome["removed"]) == (0, 0)
    assert shop.all(CONTENT) == content
    shop.write_users(10, "second")
    shop.seed()
    known = [json.loads(line)["id"] for line in shop.users.read_text().splitlines()]
    assert {owner for (owner,) in shop.all("SELECT owner FROM orders")} <= set(known)
    assert shop.seed(SEED="2")["removed"] > 0


def test_notes_come_with_the_migration(start_shop: Callable[..., Shop]) -> None:
    """The previous version seeds without notes, with its own schema and with the newer one."""
    shop = start_shop("1.0.0")
    done = shop.portal("seed", "1.0.0")
    assert done.returncode == 0, done.stdout
    assert shop.portal("migrate", "1.1.0").returncode == 0
    outcome = shop.seed()
    assert (outcome["created"], outcome["removed"]) == (0, 0)
    assert shop.one("SELECT count(*) FROM orders WHERE note IS NOT NULL") == outcome["updated"] > 0
    again = shop.portal("seed", "1.0.0")
    assert json.loads(again.stdout.splitlines()[-1])["changed"] is False


def test_after_a_kill_there_are_no_rows_and_the_next_run_seeds(shop: Shop) -> None:
    """Seeding is one transaction."""
    told = {f"GREENROOM_SEED_{name}": value for name, value in SETTINGS.items()}
    command = [sys.executable, "-c", shop.program(), "seed"]
    running = subprocess.Popen(command, env=shop.environment | told, stdout=subprocess.DEVNULL)
    loading = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'portal-seed' AND query LIKE 'COPY%'"
    wait_for("the load", lambda: bool(shop.one(loading)))
    running.send_signal(signal.SIGKILL)
    assert running.wait(10) == -signal.SIGKILL
    assert set(shop.count().values()) == {0}
    assert shop.seed()["rows"] == shop.count()


def test_concurrent_runs_wait_for_each_other(shop: Shop) -> None:
    """The first one seeds, the second one changes nothing."""
    told = {f"GREENROOM_SEED_{name}": value for name, value in SETTINGS.items()}
    command = [sys.executable, "-c", shop.program(), "seed"]
    running = [
        subprocess.Popen(command, env=shop.environment | told, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outcomes = [json.loads(process.communicate(timeout=120)[0].splitlines()[-1]) for process in running]
    assert sorted(outcome["changed"] for outcome in outcomes) == [False, True]


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"VOLUME": "-1"}, 2, "GREENROOM_SEED_VOLUME is not a number from 0 to 10000"),
        ({"VOLUME": "nan"}, 2, "GREENROOM_SEED_VOLUME is not"),
        ({"VOLUME": "much"}, 2, "GREENROOM_SEED_VOLUME is not"),
        ({"STATE": "exact"}, 2, "GREENROOM_SEED_STATE is not present or absent"),
        ({"UNTIL": "soon"}, 2, "GREENROOM_SEED_UNTIL is not a date like 2026-11-01"),
        ({"SET": ""}, 2, "GREENROOM_SEED_SET is not the name of a set"),
        ({"SEED": ""}, 2, "GREENROOM_SEED_SEED is not a seed"),
    ],
)
def test_invalid_settings_are_reported(shop: Shop, changes: dict[str, str], code: int, words: str) -> None:
    """The run prints one line and changes nothing."""
    done = shop.portal("seed", **changes)
    assert done.returncode == code
    assert words in json.loads(done.stdout.splitlines()[-1])["message"]
    assert set(shop.count().values()) == {0}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "people.jsonl: No such file or directory"),
        ('{"key": "1", "id": "a"}\n{"key": "2"}\n', "people.jsonl line 2: not a user with key and id"),
        ("[]\n", "people.jsonl line 1: not a user with key and id"),
        ('{"key": "1", "id": "a"}\n{"key": "1", "id": "b"}\n', "could not create unique index"),
    ],
)
def test_an_invalid_list_of_users_changes_nothing(shop: Shop, content: str | None, words: str) -> None:
    """Existing rows stay unchanged."""
    shop.seed()
    before = shop.all(CONTENT)
    shop.users.unlink()
    if content is not None:
        shop.users.write_text(content)
    done = shop.portal("seed")
    assert done.returncode in (1, 2)
    assert words in json.loads(done.stdout.splitlines()[-1])["message"]
    assert shop.all(CONTENT) == before


def test_an_empty_list_gives_no_rows(shop: Shop) -> None:
    """The list is empty if no service has identities."""
    shop.users.write_text("")
    assert shop.seed() == {
        "changed": False, "rows": {"addresses": 0, "orders": 0, "payments": 0}, "created": 0, "updated": 0, "removed": 0
    }  # fmt: skip


def test_a_database_without_migrations_is_reported(start_shop: Callable[..., Shop]) -> None:
    """With the server's message."""
    done = start_shop("").portal("seed")
    assert done.returncode == 1
    assert 'relation "addresses" does not exist' in json.loads(done.stdout.splitlines()[-1])["message"]
