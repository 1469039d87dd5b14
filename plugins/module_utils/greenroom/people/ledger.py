# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The ledger of seeding: which identity is which synthetic user, and what is left to do.

It is a database in one file, next to the people file with the users' IDs. A lost or damaged
ledger is rebuilt from the marks in Kratos, so nothing here needs to survive a crash. What only the ledger knows is who
is a user although a change by hand broke the mark's proof, and which passwords were compared.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..common import durable

FOLDER = "/var/lib/greenroom/seed"
"""The default folder of ledgers and people files."""
VERSION = 2
"""The ledger's format. An older ledger is converted; one with another version is rebuilt."""

_TABLES = f"""
CREATE TABLE people (
    id TEXT PRIMARY KEY, seed TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL,
    proven INTEGER NOT NULL DEFAULT 0, stamp REAL NOT NULL DEFAULT 0, address TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX people_status ON people (status, id);
CREATE TABLE missing (first INTEGER NOT NULL, last INTEGER NOT NULL, persona TEXT NOT NULL);
CREATE TABLE operation (only INTEGER PRIMARY KEY CHECK (only = 1), token TEXT NOT NULL, state TEXT NOT NULL);
PRAGMA user_version = {VERSION};
"""
# The first version recorded every identity with a mark, so its rows prove nothing.
_CONVERSION = f"""
BEGIN;
ALTER TABLE people ADD COLUMN proven INTEGER NOT NULL DEFAULT 0;
ALTER TABLE people ADD COLUMN stamp REAL NOT NULL DEFAULT 0;
ALTER TABLE people ADD COLUMN address TEXT NOT NULL DEFAULT '';
PRAGMA user_version = {VERSION};
COMMIT;
"""
_ROW = "id, seed, key, status, proven, stamp, address"


def path_of(given: str | None, user_set: str) -> str:
    """Return the path of a set's ledger, `given` if it is."""
    return given or f"{FOLDER}/{user_set}.db"


def progress_file(path: str) -> str:
    """Return the file in which a call notes its progress while it works, next to the ledger at `path`."""
    return f"{path}.progress"


class LedgerError(Exception):
    """The ledger can't be used; the message says why."""


class Row(NamedTuple):
    """One identity with the set's mark. `status`: current, outdated (another recipe) or extra (not in the recipe).

    `proven` says that it was ours when it was recorded, not only by its name. Up to the time `stamp`, its password is
    the one that it got. `address` is its login if that is not the recipe's address.
    """

    id: str
    seed: str
    key: str
    status: str
    proven: bool = True
    stamp: float = 0
    address: str = ""


class Ledger:
    """The database at `path`; if `write` is false, a temporary copy. Safe for several threads."""

    def __init__(self, path: str, write: bool = True) -> None:
        self.path = path
        self.write = write
        self._lock = threading.RLock()
        self.is_new = not os.path.exists(path)
        try:
            self._database = self._open() if write else self._copy()
        except sqlite3.DatabaseError:
            # The file is damaged, or has another version.
            self.is_new = True
            if write:
                forget(path)
            self._database = self._open() if write else sqlite3.connect("", check_same_thread=False)
        except OSError as error:
            raise LedgerError(f"{path}: {error.strerror or error}") from error
        if self.is_new:
            self._database.executescript(_TABLES)
        # In a file, so that memory does not grow with the number of users.
        self._database.execute("PRAGMA temp_store = FILE")
        self._database.execute("CREATE TEMP TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def _open(self) -> sqlite3.Connection:
        try:
            os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        except OSError as error:
            raise LedgerError(f"{self.path}: {error.strerror}") from error
        self.is_new = os.path.getsize(self.path) == 0
        database = sqlite3.connect(self.path, timeout=10, check_same_thread=False)
        try:
            # If a power failure damages the file, it is rebuilt.
            database.execute("PRAGMA synchronous = OFF")
            if not self.is_new:
                _check(database)
                _convert(database)
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def _copy(self) -> sqlite3.Connection:
        copy = sqlite3.connect("", check_same_thread=False)
        if not self.is_new:
            # Not read-only: SQLite may have to roll back the transaction of a killed run.
            source = sqlite3.connect(f"file:{self.path}?mode=rw", timeout=10, uri=True)
            with contextlib.closing(source):
                _check(source)
                source.backup(copy)
            _convert(copy)
        return copy

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Run several statements in one transaction."""
        with self._lock, self._database:
            yield

    # --- existing users ---

    def count(self, status: str | None = None) -> int:
        """Return the number of users with a status, or of all users."""
        where, given = ("WHERE status = ?", (status,)) if status else ("", ())
        with self._lock:
            return int(self._database.execute(f"SELECT count(*) FROM people {where}", given).fetchone()[0])

    def known(self, ids: Sequence[str]) -> dict[str, Row]:
        """Return the recorded users among these IDs."""
        marks = ",".join("?" * len(ids))
        with self._lock:
            return {
                each[0]: _row(each)
                for each in self._database.execute(f"SELECT {_ROW} FROM people WHERE id IN ({marks})", list(ids))
            }

    def saw(self, rows: Sequence[Row], known: Mapping[str, Row]) -> bool:
        """Record that these users exist; return whether any was missing in `known` or had another seed or key there."""
        with self.together():
            self._database.executemany("INSERT OR IGNORE INTO temp.seen VALUES (?)", ((row.id,) for row in rows))
            self.put(row for row in rows if known.get(row.id) != row)
        return any(
            (known[row.id].seed, known[row.id].key) != (row.seed, row.key) if row.id in known else True for row in rows
        )

    def put(self, rows: Iterable[Row]) -> None:
        """Insert or update users."""
        with self.together():
            self._database.executemany(
                "INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def remove(self, ids: Iterable[str]) -> None:
        """Delete users."""
        with self.together():
            self._database.executemany("DELETE FROM people WHERE id = ?", ((each,) for each in ids))

    def unseen(self) -> Iterator[str]:
        """Yield the IDs of users that were not seen."""
        with self._lock:
            yield from [each for (each,) in self._database.execute(f"SELECT id FROM people WHERE {_UNSEEN}")]

    def forget_unseen(self) -> int:
        """Delete users that were not seen; return their number."""
        with self.together():
            return self._database.execute(f"DELETE FROM people WHERE {_UNSEEN}").rowcount

    def ids(self, keys: Sequence[str], statuses: Sequence[str]) -> dict[str, str]:
        """Return {key: id} of the users with these keys and one of these statuses."""
        marks = ",".join("?" * len(keys)), ",".join("?" * len(statuses))
        query = f"SELECT key, id FROM people WHERE key IN ({marks[0]}) AND status IN ({marks[1]})"
        with self._lock:
            return dict(self._database.execute(query, [*keys, *statuses]).fetchall())

    def after(self, status: str | None, identity: str, limit: int) -> list[Row]:
        """Return the next users after an ID, with a status or with any."""
        where = "status = ? AND" if status else ""
        given = [*([status] if status else []), identity, limit]
        query = f"SELECT {_ROW} FROM people WHERE {where} id > ? ORDER BY id LIMIT ?"
        with self._lock:
            return [_row(each) for each in self._database.execute(query, given)]

    # --- remaining work ---

    def operation(self, token: str) -> dict[str, Any] | None:
        """Return the state of an unfinished operation, or None if the ledger has another one."""
        with self._lock:
            found = self._database.execute("SELECT token, state FROM operation").fetchone()
        return dict(json.loads(found[1])) if found and found[0] == token else None

    def begin(self, missing: Iterable[tuple[int, int, str]]) -> None:
        """Start an operation. Missing users are (first number, last number, '') or (0, 0, persona)."""
        with self.together():
            self._database.execute("DELETE FROM operation")
            self._database.execute("DELETE FROM missing")
            self._database.executemany("INSERT INTO missing VALUES (?, ?, ?)", missing)

    def keep(self, token: str, state: dict[str, Any]) -> None:
        """Save the state of an operation."""
        with self.together():
            self._database.execute("INSERT OR REPLACE INTO operation VALUES (1, ?, ?)", (token, json.dumps(state)))

    def end(self) -> None:
        """End the operation."""
        self.begin([])

    def take_missing(self, limit: int) -> list[str]:
        """Remove the next missing users from the list and return their keys."""
        keys: list[str] = []
        with self.together():
            while len(keys) < limit:
                found = self._database.execute("SELECT rowid, * FROM missing ORDER BY rowid LIMIT 1").fetchone()
                if not found:
                    break
                row, first, last, persona = found
                end = min(last, first + limit - len(keys) - 1)
                keys += [persona] if persona else [str(number) for number in range(first, end + 1)]
                if persona or end == last:
                    self._database.execute("DELETE FROM missing WHERE rowid = ?", (row,))
                else:
                    self._database.execute("UPDATE missing SET first = ? WHERE rowid = ?", (end + 1, row))
        return keys

    # --- the people file ---

    def lines(self, address: Callable[[str], str]) -> Iterator[bytes]:
        """Yield the lines of the people file, one JSON object per wanted user: personas by name, then by number."""
        query = """
            SELECT key, id, address FROM people WHERE status != 'extra'
            ORDER BY key GLOB '[0-9]*', CASE WHEN key GLOB '[0-9]*' THEN length(key) END, key
        """
        with self._lock:
            for key, identity, other in self._database.execute(query):
                yield json.dumps({"key": key, "id": identity, "email": other or address(key)}).encode() + b"\n"


_UNSEEN = "id NOT IN (SELECT id FROM temp.seen)"


def _row(columns: Sequence[Any]) -> Row:
    identity, seed, key, status, proven, stamp, address = columns
    return Row(identity, seed, key, status, bool(proven), stamp, address)


def _convert(database: sqlite3.Connection) -> None:
    """Bring an older ledger to this version."""
    if database.execute("PRAGMA user_version").fetchone()[0] == 1:
        database.executescript(_CONVERSION)


def _check(database: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if the file is damaged or has an unknown version."""
    if database.execute("PRAGMA user_version").fetchone()[0] not in (1, VERSION):
        raise sqlite3.DatabaseError("another version")
    if (problem := database.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(problem)


def forget(path: str) -> None:
    """Remove a ledger's files."""
    for each in (path, f"{path}-journal"):
        durable.remove(each)
