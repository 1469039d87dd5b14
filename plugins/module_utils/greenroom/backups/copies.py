# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Copies of one database as it was at a point in time, made in a second cluster that only this program reaches."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from .calls import DATA, PROGRAMS, VERSION, ClusterError, call, literal, quoted, sql
from .points import target
from .repository import repository
from .start import ensure_folder

SCRATCH = DATA.with_name("greenroom-copy")
SOCKETS = Path("/run/greenroom-copy")
PORT = "5433"
SECOND = ("-h", SOCKETS, "-p", PORT)
"""Where psql finds the second cluster."""
GIB = 1024**3


def objects_in(database: str) -> int:
    """Return how many tables and indexes a database has, -1 if it doesn't exist."""
    if sql(f"SELECT 1 FROM pg_database WHERE datname = {literal(database)}") != "1":
        return -1
    query = (
        "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        r"WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'"
    )
    return int(sql(query, database))


def copy(stanza: str, database: str, into: str, point: str, check: bool) -> str:
    """Restore a database as it was at `point` into the new or empty database `into`; return what was done."""
    info = repository(stanza)
    if not info["backup"]:
        raise ClusterError("there is no backup yet. Run playbooks/backup.yml")
    options = target(point, info, datetime.now(UTC))
    found = objects_in(into)
    if found > 0:
        raise ClusterError(
            f"The database {into} has {found} tables and indexes. A backup can only be restored into an empty "
            "database. Name another one with -e into="
        )
    if not check:
        remove_scratch()
    require_disk(database)
    words = f"{database} as of {point or 'now'}"
    if check:
        return f"{words} would be restored into {into}"
    # What was committed until now is then in the archive, and a recovery to a time finds a commit after it.
    sql("SELECT pg_current_xact_id()")
    sql("SELECT pg_switch_wal()")
    try:
        call("pgbackrest", f"--stanza={stanza}", "check", what="archiving")
    except ClusterError:
        # With a point to reach, the recovery fails if the archive ends before it. So one place is enough.
        if not options:
            raise
    with scratch_cluster(stanza, database, options):
        fill(database, into, found)
    return f"{words} was restored into {into}"


def require_disk(database: str) -> None:
    """Raise ClusterError if the disk would be full: then the databases in use would stop, too."""
    name = literal(database)
    size = sql(f"SELECT pg_database_size(datname) FROM pg_database WHERE datname = {name}")
    # Twice for a while: the backup's files, and the copy. Nobody knows the size of a database that was dropped.
    needed, free = 2 * int(size or 0), shutil.disk_usage(DATA.parent).free
    if free < needed:
        raise ClusterError(
            f"{DATA.parent} has {free / GIB:.1f} GiB free, and the restore of {database} needs about "
            f"{needed / GIB:.1f} GiB for a while. Free some, and run this again"
        )


@contextlib.contextmanager
def scratch_cluster(stanza: str, database: str, options: Sequence[str]) -> Iterator[None]:
    """Run a second cluster, only reachable by a socket, with one database of the backup."""
    remove_scratch()
    ensure_folder(SCRATCH)
    SOCKETS.mkdir(mode=0o700)
    shutil.chown(SOCKETS, "postgres", "postgres")
    try:
        _restore([f"--stanza={stanza}", f"--pg1-path={SCRATCH}", "--archive-mode=off", *options], database)
        (SOCKETS / "hba").write_text("local all all peer\n", encoding="utf-8")
        (SOCKETS / "hba").chmod(0o644)
        settings = {
            "data_directory": SCRATCH,
            "hba_file": SOCKETS / "hba",
            "external_pid_file": "",
            "listen_addresses": "",
            "port": PORT,
            "unix_socket_directories": SOCKETS,
            "ssl": "off",
            "shared_buffers": "64MB",
            "hot_standby": "off",
            # No program of an extension runs here, such as the jobs of pg_cron.
            "shared_preload_libraries": "",
            "logging_collector": "off",
            # The files of other databases are empty, so their changes have no page to go to. `_check_pages` looks at
            # those of this one.
            "ignore_invalid_pages": "on",
        }
        words = " ".join(f"-c {name}={literal(str(value))}" for name, value in settings.items())
        folder = f"/etc/postgresql/{VERSION}/main/postgresql.conf"
        start: list[str | Path] = ["start", "-w", "-t", "86400", "-D", SCRATCH, "-l", SOCKETS / "log"]
        try:
            call(PROGRAMS / "pg_ctl", *start, "-o", f"-c config_file={folder} {words}", what="the recovery")
            _wait()
            _check_pages(database)
        except ClusterError as error:
            raise ClusterError(f"{error}\n{last_lines(SOCKETS / 'log')}") from error
        yield
    finally:
        remove_scratch()


def _restore(options: Sequence[str], database: str) -> None:
    """Restore the files of one database. If the backup is older than the database, the archive has all of it."""
    try:
        call("pgbackrest", *options, f"--db-include={database}", "restore", what="the restore")
    except ClusterError as error:
        if "to include" not in str(error):
            raise
        call("pgbackrest", *options, "restore", what="the restore")


def _wait() -> None:
    """Wait until the recovery is over: pg_ctl returns earlier. If it fails, the second cluster ends."""
    while True:
        try:
            sql("SELECT 1", "postgres", *SECOND)
        except ClusterError:
            if not (SCRATCH / "postmaster.pid").exists():
                raise
            time.sleep(0.5)
        else:
            return


def _check_pages(database: str) -> None:
    """Raise ClusterError if the recovery found no page for a change of this database, or of what all share."""
    number = sql(f"SELECT oid FROM pg_database WHERE datname = {literal(database)}", "postgres", *SECOND)
    wanted = (f" of relation base/{number}/", " of relation global/")
    with (SOCKETS / "log").open(encoding="utf-8", errors="replace") as log:
        missed = [line.rstrip() for line in log if any(part in line for part in wanted)]
    if missed:
        raise ClusterError(f"The backup of {database} is damaged, so nothing was restored: {missed[0]}")


def last_lines(log: Path) -> str:
    """Return the end of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:]) if log.exists() else ""


def remove_scratch() -> None:
    """Stop the second cluster, also one that an interrupted run left behind, and remove its files."""
    if (SCRATCH / "postmaster.pid").exists():
        with contextlib.suppress(ClusterError):
            call(PROGRAMS / "pg_ctl", "stop", "-m", "immediate", "-D", SCRATCH)
    shutil.rmtree(SCRATCH, ignore_errors=True)
    shutil.rmtree(SOCKETS, ignore_errors=True)


def fill(database: str, into: str, found: int) -> None:
    """Fill `into` from the second cluster, in one transaction, with owners and privileges."""
    if found < 0:
        sql(f"CREATE DATABASE {quoted(into)} OWNER {quoted(database)} TEMPLATE template0 {_kind(database)}")
    try:
        pipe = (
            f'set -o pipefail; pg_dump -h {SOCKETS} -p {PORT} -Fc -d "$1" | '
            'pg_restore --single-transaction --exit-on-error -d "$2"'
        )
        call("bash", "-c", pipe, "copy", database, into, what="the copy")
        sql(f"ALTER DATABASE {quoted(into)} OWNER TO {quoted(database)}")
        sql(f"REVOKE ALL ON DATABASE {quoted(into)} FROM PUBLIC")
    except ClusterError:
        if found < 0:
            sql(f"DROP DATABASE {quoted(into)} WITH (FORCE)")
        raise


def _kind(database: str) -> str:
    """Return encoding and locale of a database of the second cluster, as CREATE DATABASE wants them."""
    query = (
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider, coalesce(datlocale, '') "
        f"FROM pg_database WHERE datname = {literal(database)}"
    )
    found = sql(query, "postgres", *SECOND)
    if not found:
        raise ClusterError(f"the backup has no database {database}")
    encoding, collate, ctype, provider, locale = found.split("|")
    words = f"ENCODING {literal(encoding)} LC_COLLATE {literal(collate)} LC_CTYPE {literal(ctype)}"
    kind = {"i": "icu", "b": "builtin"}.get(provider)
    return f"{words} LOCALE_PROVIDER {kind} {kind}_LOCALE {literal(locale)}" if kind else words
