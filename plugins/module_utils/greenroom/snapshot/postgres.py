# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""PostgreSQL on a host: version, settings in effect, databases, extensions, schema, roles and what they may do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .reading import Items, Unread, UnreadError, has, needs_root, output

_SETTINGS = """
select json_object_agg(name, json_build_object('value', setting || coalesce(unit, ''), 'pending', pending_restart))
from pg_settings where (source not in ('default', 'override', 'client', 'session') or pending_restart)
and name not in ('application_name', 'client_encoding', 'data_directory', 'primary_conninfo')
"""
_DATABASES = """
select json_object_agg(datname, json_build_object('encoding', pg_encoding_to_char(encoding), 'collation', datcollate,
'character type', datctype, 'owner', pg_get_userbyid(datdba), 'connections', datconnlimit,
'rights', (select coalesce(json_agg(right_::text order by right_::text), '[]') from unnest(datacl) as acl(right_))))
from pg_database where datname not in ('template0', 'template1')
"""
_ROLES = """
select json_object_agg(rolname, json_build_object('login', rolcanlogin, 'superuser', rolsuper, 'create roles',
rolcreaterole, 'create databases', rolcreatedb, 'replication', rolreplication, 'bypasses row security', rolbypassrls,
'connections', rolconnlimit, 'settings', rolconfig, 'member of', (select coalesce(json_agg(parent.rolname order by
parent.rolname), '[]') from pg_auth_members m join pg_roles parent on parent.oid = m.roleid where m.member = r.oid)))
from pg_roles r where rolname not like 'pg\\_%'
"""
_EXTENSIONS = "select json_object_agg(extname, extversion) from pg_extension"
# Comments, commands of psql, and what pg_dump needs for itself.
_NO_STATEMENTS = ("--", "\\", "SET default_", "SELECT pg_catalog")
_MASKED = re.compile(r"pass|secret|key_passphrase", re.IGNORECASE)


def postgres() -> Items:
    """Yield what PostgreSQL's catalogs say, and each object of each database's schema."""
    if not has("psql") or not has("pg_lsclusters"):
        return
    needs_root()
    if not output("pg_lsclusters", "--no-header").strip():
        return
    yield "version", _ask("postgres", "select json_build_array(current_setting('server_version'))")[0]
    for name, setting in sorted(_ask("postgres", _SETTINGS).items()):
        if not _MASKED.search(name):
            yield f"setting {name}", setting["value"]
        if setting["pending"]:
            yield f"setting {name} waits for a restart", "yes"
    for name, role in sorted(_ask("postgres", _ROLES).items()):
        yield f"role {name}", role
    databases = _ask("postgres", _DATABASES)
    for name, database in sorted(databases.items()):
        yield f"database {name}", database
        try:
            for extension, version in _ask(name, _EXTENSIONS).items():
                yield f"extension {extension} in {name}", version
            yield from _schema(name)
        except UnreadError as error:
            yield f"schema of {name}", Unread(str(error))


def _ask(database: str, query: str) -> Any:
    said = _as_postgres("psql", "-XAtq", "-d", database, "-c", query).strip()
    return json.loads(said) if said else {}


def _as_postgres(*command: str) -> str:
    return output("runuser", "-u", "postgres", "--", *command)


def _schema(database: str) -> Iterator[tuple[str, list[str]]]:
    """Yield `<kind> <schema>.<name> in <database>` and its statements, as pg_dump writes them."""
    dump = _as_postgres("pg_dump", "--schema-only", "-d", database)
    parts = re.split(r"^-- Name: (.*?); Type: (.*?); Schema: (.*?); Owner:.*$", dump, flags=re.MULTILINE)
    for name, kind, schema, body in zip(parts[1::4], parts[2::4], parts[3::4], parts[4::4], strict=True):
        lines = [line.strip().rstrip(",") for line in body.splitlines()]
        statements = [line for line in lines if line and not line.startswith(_NO_STATEMENTS)]
        where = "" if schema == "-" else f"{schema}."
        # The order of columns is a difference; that of rights is not.
        yield f"{kind.lower()} {where}{name} in {database}", sorted(statements) if kind == "ACL" else statements
