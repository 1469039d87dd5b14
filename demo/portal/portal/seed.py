"""The command ``seed``: creates, updates and removes the generated rows of a set, and removes expired orders.

It loads all rows into temporary tables with COPY and compares them there. So a second run changes nothing, and pages
never show a partial result.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import batched
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy.exc import SQLAlchemyError

from .invent import COLUMNS, History, Person
from .orders import Orders, connect
from .settings import Settings, SettingsError

logger = logging.getLogger("portal.seed")

USERS = Path("/run/people.jsonl")
BATCH = 2_000
"""Number of users whose rows are in memory at a time."""
ADVISORY_LOCK = 7_265_142
"""An arbitrary number that no other lock in this database uses. The process with the lock seeds, others wait."""
OF_SET: LiteralString = "{table}.seed_set = {set}"


class UsersError(Exception):
    """The list of users is invalid."""


@dataclass(frozen=True)
class Task:
    """A run of the command, from its environment variables."""

    history: History
    present: bool

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Task:
        """Read GREENROOM_SEED_SET, _STATE, _SEED, _VOLUME and _UNTIL; raise SettingsError with the variable's name."""

        def wrong(name: str, wanted: str) -> SettingsError:
            return SettingsError(f"environment variable GREENROOM_SEED_{name} is not {wanted}")

        if not (seed_set := env.get("GREENROOM_SEED_SET", "")):
            raise wrong("SET", "the name of a set")
        state = env.get("GREENROOM_SEED_STATE", "")
        if state not in ("present", "absent"):
            raise wrong("STATE", "present or absent")
        try:
            volume = float(env.get("GREENROOM_SEED_VOLUME", ""))
        except ValueError:
            volume = math.nan
        if not 0 <= volume <= 10_000:
            raise wrong("VOLUME", "a number from 0 to 10000")
        try:
            until = date.fromisoformat(env.get("GREENROOM_SEED_UNTIL", ""))
        except ValueError:
            raise wrong("UNTIL", "a date like 2026-11-01") from None
        if not (number := env.get("GREENROOM_SEED_SEED", "")):
            raise wrong("SEED", "a seed")
        return cls(History(seed_set, number, volume, until), state == "present")


def read_users(path: Path) -> Iterator[Person]:
    """Yield the users in a file with one JSON object per line, with `key` and `id`; the file may be empty."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    found = json.loads(line)
                    yield Person(str(found["key"]), str(found["id"]))
                except (ValueError, KeyError, TypeError):
                    raise UsersError(f"{path} line {number}: not a user with key and id") from None
    except OSError as error:
        raise UsersError(f"{path}: {error.strerror}") from None


class Seeder:
    """Changes one set's rows, within the transaction of a connection."""

    def __init__(self, connection: psycopg.Connection[Any], task: Task, notes: bool) -> None:
        self.connection = connection
        self.history = task.history
        self.columns = {
            table: names if notes else tuple(n for n in names if n != "note") for table, names in COLUMNS.items()
        }

    def _run(self, statement: LiteralString, table: str) -> int:
        """Run a statement on a table; `{wanted}` is the temporary table, `{columns}` and `{values}` its columns."""
        names = [sql.Identifier(name) for name in self.columns[table]]
        comma = sql.SQL(", ")
        query = sql.SQL(statement).format(
            table=sql.Identifier(table),
            wanted=sql.Identifier(f"wanted_{table}"),
            columns=comma.join(names),
            values=comma.join(sql.SQL("w.{}").format(name) for name in names),
            found=comma.join(sql.SQL("{}.{}").format(sql.Identifier(table), name) for name in names),
            set=sql.Literal(self.history.set),
        )
        return self.connection.execute(query).rowcount

    def load(self, users: Iterator[Person]) -> dict[str, int]:
        """Load the desired rows into temporary tables; return the number of rows by table."""
        rows = dict.fromkeys(self.columns, 0)
        for table in self.columns:
            self._run(
                "CREATE TEMPORARY TABLE {wanted} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA", table
            )
        for batch in batched(users, BATCH):
            invented = [self.history.of(person) for person in batch]
            for position, (table, names) in enumerate(self.columns.items()):
                copy = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(f"wanted_{table}"))
                with self.connection.cursor().copy(copy) as stream:
                    for one in invented:
                        for row in one[position]:
                            stream.write_row(row[: len(names)])
                            rows[table] += 1
        for table in self.columns:
            # Only this index detects a user that is in the list twice.
            self._run("CREATE UNIQUE INDEX ON {wanted} (id)", table)
            self._run("ANALYZE {wanted}", table)
        return rows

    def apply(self) -> dict[str, int]:
        """Make the set's rows equal to the temporary tables; return how many were created, updated and removed."""
        gone = (
            "DELETE FROM {table} WHERE " + OF_SET + " AND NOT EXISTS (SELECT FROM {wanted} w WHERE w.id = {table}.id)"
        )
        other = (
            "UPDATE {table} SET ({columns}) = ROW({values}) FROM {wanted} w WHERE w.id = {table}.id AND "
            + OF_SET
            + " AND ROW({found}) IS DISTINCT FROM ROW({values})"
        )
        new = (
            "INSERT INTO {table} ({columns}) SELECT {values} FROM {wanted} w"
            " WHERE NOT EXISTS (SELECT FROM {table} WHERE {table}.id = w.id AND " + OF_SET + ")"
        )
        # Tables that refer to others come first when removing and last when creating.
        tables = list(self.columns)
        removed = sum(self._run(gone, table) for table in reversed(tables))
        updated = created = 0
        for table in tables:
            updated += self._run(other, table)
            created += self._run(new, table)
        return {"created": created, "updated": updated, "removed": removed}

    def remove(self) -> dict[str, int]:
        """Remove the set's rows; return the same numbers as `apply`."""
        removed = sum(self._run("DELETE FROM {table} WHERE " + OF_SET, table) for table in reversed(list(self.columns)))
        return {"created": 0, "updated": 0, "removed": removed}


def seed(connection: psycopg.Connection[Any], settings: Settings, task: Task, users: Path = USERS) -> dict[str, Any]:
    """Seed in one transaction; return the number of rows and of changes."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        seeder = Seeder(connection, task, settings.order_notes)
        rows = dict.fromkeys(seeder.columns, 0)
        if task.present:
            rows = seeder.load(read_users(users))
            done = seeder.apply()
        else:
            done = seeder.remove()
    if changed := any(done.values()):
        for table in COLUMNS:
            connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
    return {"changed": changed, "rows": rows, **done}


def run(settings: Settings) -> int:
    """Seed, print the outcome as the last line, and return the exit code."""
    try:
        task = Task.from_environment(os.environ)
        url = settings.database_url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True, connect_timeout=10, application_name="portal-seed") as connection:
            outcome = seed(connection, settings, task)
        outcome["expired"] = Orders(connect(settings), settings).expire()
        outcome["changed"] |= outcome["expired"] > 0
    except (SettingsError, UsersError) as error:
        logger.error("%s", error)
        return 2
    except SQLAlchemyError as error:
        logger.error("orders that have expired could not be removed: %s", type(error).__name__)
        return 1
    except psycopg.Error as error:
        # The server's message names tables and constraints, never credentials.
        logger.error("seeding failed: %s", (error.diag.message_primary or str(error)).strip())
        return 1
    print(json.dumps(outcome), flush=True)
    return 0
