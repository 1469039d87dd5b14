# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Put a copy of a database into its place."""

from __future__ import annotations

from .calls import ClusterError, literal, quoted, sql
from .copies import objects_in


def promote(database: str, source: str, kept: str, check: bool) -> str:
    """Put the copy `source` into the place of `database`, which stays as `kept`; return what was done."""
    if not check:
        # What a run that was killed left closed.
        _open(database, source)
    if objects_in(source) <= 0:
        raise ClusterError(f"there is no copy {source}: restore into it first (playbooks/restore.yml -e into={source})")
    if objects_in(kept) >= 0:
        raise ClusterError(f"the database {kept} exists already")
    if objects_in(database) < 0:
        # It was dropped.
        if not check:
            sql(f"ALTER DATABASE {quoted(source)} RENAME TO {quoted(database)}")
        return f"{source} {'would become' if check else 'is'} {database}"
    if check:
        return f"{source} would become {database}, and {database} would stay as {kept}"
    grants = _grants(database)
    both = f"{literal(database)}, {literal(source)}"
    try:
        for name in (database, source):
            sql(f"ALTER DATABASE {quoted(name)} ALLOW_CONNECTIONS false")
        sql(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname IN ({both})")
        # One transaction: at no time is there no database of this name.
        sql(
            f"BEGIN; ALTER DATABASE {quoted(database)} RENAME TO {quoted(kept)}; "
            f"ALTER DATABASE {quoted(source)} RENAME TO {quoted(database)}; COMMIT"
        )
        for statement in grants:
            sql(statement)
    finally:
        _open(database, source, kept)
    return f"{source} is {database} now, and the previous database is {kept}"


def _open(*databases: str) -> None:
    """Let databases take connections again."""
    for name in databases:
        if sql(f"SELECT 1 FROM pg_database WHERE datname = {literal(name)} AND NOT datallowconn"):
            sql(f"ALTER DATABASE {quoted(name)} ALLOW_CONNECTIONS true")


def _grants(database: str) -> list[str]:
    """Return the statements that give others the rights that they have on a database, such as the backup's login."""
    query = (
        "SELECT format('GRANT %s ON DATABASE %I TO %I', privilege_type, datname, pg_get_userbyid(grantee)) "
        "FROM pg_database, aclexplode(datacl) "
        f"WHERE datname = {literal(database)} AND grantee NOT IN (0, datdba)"
    )
    return sql(query).splitlines()
