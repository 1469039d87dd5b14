# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""PostgreSQL's databases and logins: compute the statements that lead to the desired state.

Each database has an owner role that can't log in, and a login for each slot that acts as the owner, so that each slot
can change what the other one created.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .scram import matches, verifier

READ_ALL = "pg_read_all_data"
# What is stated of new databases, and the words for it.
KINDS = {"encoding": "ENCODING", "locale": "LOCALE"}


def identifier(name: str) -> str:
    """Return a quoted identifier."""
    if "\0" in name or not name:
        raise ValueError("a database identifier can't be empty or contain a zero byte")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a quoted string literal."""
    if "\0" in text:
        raise ValueError("a database string can't contain a zero byte")
    quoted = text.replace("'", "''")
    return f" E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quoted}'"


def desired(
    catalogue: Mapping[str, Mapping[str, Any]],
    secrets_values: Mapping[str, Mapping[str, Any]],
    slots: Iterable[str],
    readers: Mapping[str, str] | None = None,
    kept: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the desired state: {databases: {name: {logins: {login: password}}}, readers: {login: password}}.

    It has only the logins of `slots`, so that the logins of the live slot can stay unchanged. Those of `kept` slots are
    only created if they are missing, as on a new server: {kept: {login: password}}. `readers` can read all databases
    (for backups). A database without any login of a service is also created.
    """
    slots, kept = list(slots), list(kept)
    databases: dict[str, dict[str, Any]] = {}
    for name, service in catalogue.items():
        # Each further database has a login of its own.
        further = {database: f"{name}/login/{database}_" for database in service.get("databases", {})}
        main = {service["database"]: f"{name}/login/"} if service["database"] else {}
        for database, path in (main | further).items():
            found = {
                key: {
                    f"{database}_{slot}": its["password"]
                    for slot in those
                    if (its := secrets_values.get(f"{path}{slot}"))
                }
                for key, those in (("logins", slots), ("kept", kept))
            }
            databases[database] = {key: logins for key, logins in found.items() if key == "logins" or logins}
    return {"databases": databases, "readers": dict(readers or {})}


# What a killed CREATE INDEX CONCURRENTLY leaves behind: an index that no query uses, and that IF NOT EXISTS takes for
# good. One that is being built now is not meant, nor the index of a partitioned table that lacks a partition's. To an
# administrator without pg_read_all_stats, PostgreSQL doesn't say which table another login's index is for.
UNFINISHED_QUERY = r"""SELECT coalesce(json_agg(format('%I.%I', n.nspname, c.relname) ORDER BY 1), '[]')
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname NOT LIKE 'pg\_%'
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p
    WHERE p.datname = current_database() AND coalesce(p.relid, i.indrelid) = i.indrelid)
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)"""

EXTENSIONS_QUERY = """\
SELECT json_build_object(
  'there', (SELECT coalesce(json_agg(extname), '[]') FROM pg_extension),
  'available', (SELECT coalesce(json_agg(name), '[]') FROM pg_available_extensions)
)"""


def state_query(wanted: Mapping[str, Any], verifiers: bool = True) -> str:
    """Return a query that returns the current state of all `wanted` objects as one JSON value.

    Only a superuser can read passwords' `verifiers`; without them, `password` is null.
    The result: {roles: {name: {login, password, role}}, members: [[group, member]],
    databases: {name: {owner, public: bool, connect: [role]}}, waiting: [setting that needs a restart]}.
    """
    names = ", ".join(literal(name) for name in _roles(wanted)) or "NULL"
    databases = ", ".join(literal(name) for name in wanted["databases"]) or "NULL"
    return f"""\
SELECT json_build_object(
  'roles', (SELECT coalesce(json_object_agg(r.rolname, json_build_object(
      'login', r.rolcanlogin, 'password', {"r.rolpassword" if verifiers else "NULL"},
      'role', (SELECT substr(c, 6) FROM pg_db_role_setting s, unnest(s.setconfig) c
               WHERE s.setrole = r.oid AND s.setdatabase = 0 AND c LIKE 'role=%'))), '{{}}')
    FROM {"pg_authid" if verifiers else "pg_roles"} r WHERE r.rolname IN ({names})),
  'members', (SELECT coalesce(json_agg(json_build_array(g.rolname, m.rolname)), '[]')
    FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
    WHERE m.rolname IN ({names})),
  'databases', (SELECT coalesce(json_object_agg(d.datname, json_build_object(
      'owner', pg_get_userbyid(d.datdba),
      'public', EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) WHERE grantee = 0),
      'connect', (SELECT coalesce(json_agg(DISTINCT pg_get_userbyid(grantee)), '[]')
        FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba)))
        WHERE grantee <> 0 AND privilege_type = 'CONNECT'))), '{{}}')
    FROM pg_database d WHERE d.datname IN ({databases})),
  'kinds', (SELECT coalesce(json_object_agg(d.datname, json_build_object(
      'encoding', pg_encoding_to_char(d.encoding), 'locale', coalesce(
          to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', d.datcollate))), '{{}}')
    FROM pg_database d WHERE d.datname IN ({databases})),
  'lock_timeouts', (SELECT coalesce(json_agg(json_build_array(r.rolname, d.datname, substr(c, 14))), '[]')
    FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase,
      unnest(s.setconfig) c
    WHERE r.rolname IN ({names}) AND c LIKE 'lock_timeout=%'),
  'waiting', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart)
)"""


def other_kinds(wanted: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the encoding and locale of databases that exist, one line each."""
    found = []
    for name, kind in current.get("kinds", {}).items():
        for what in ("encoding", "locale"):
            stated = wanted.get(what) or ""
            if stated and _plain(stated) != _plain(kind[what]):
                found.append(f"the database {name} has the {what} {kind[what]}, and not {stated} (database_{what})")
    return found


def _plain(name: str) -> str:
    """Return a locale or encoding in one of its spellings: C.UTF-8 is C.utf8."""
    return name.casefold().replace("-", "")


def rows_query(query: str) -> str:
    """Return read-only statements that return a query's rows as one JSON value."""
    return f"BEGIN READ ONLY;\nSELECT coalesce(json_agg(rows), '[]') FROM ({query.strip().rstrip(';')}\n) AS rows"


def plan(wanted: Mapping[str, Any], current: Mapping[str, Any], member: bool = False) -> list[str]:
    """Return the statements, in order, that lead from `current` (the state query's result) to `wanted`.

    To create a database for an owner role, an administrator who is not a superuser must be a `member` of that role.
    Run each outside a transaction (CREATE DATABASE requires it). After a failure it is safe to run them again. Objects
    that are not wanted stay. Passwords are compared with the stored verifiers, and only verifiers are sent.
    """
    return list(_statements(wanted, current, member))


def without_verifiers(text: str) -> str:
    """Return a statement or a server's message without password verifiers."""
    return re.sub(r"SCRAM-SHA-256\$[^'\s]*", "…", text)


def _roles(wanted: Mapping[str, Any]) -> list[str]:
    logins = [
        login for database in wanted["databases"].values() for login in (*database["logins"], *database.get("kept", ()))
    ]
    return [*wanted["databases"], *logins, *wanted["readers"]]


def _statements(wanted: Mapping[str, Any], current: Mapping[str, Any], member: bool) -> Iterator[str]:
    members = {tuple(pair) for pair in current["members"]}
    for name, database in wanted["databases"].items():
        yield from _owner(name, current["roles"].get(name))
        for login, password in database["logins"].items():
            yield from _login(login, password, current["roles"].get(login), acts_as=name)
            yield from _member(name, login, members)
        for login, password in database.get("kept", {}).items():
            if login not in current["roles"]:
                yield from _login(login, password, None, acts_as=name)
                yield from _member(name, login, members)
        database_now = current["databases"].get(name)
        if member and (database_now or {}).get("owner") != name:
            yield f"GRANT {identifier(name)} TO CURRENT_USER"
        yield from _database(name, database_now, wanted)
        yield from _lock_timeouts(name, database["logins"], wanted, current)
    for login, password in wanted["readers"].items():
        yield from _login(login, password, current["roles"].get(login), acts_as=None)
        yield from _member(READ_ALL, login, members)
        for name in wanted["databases"]:
            if login not in current["databases"].get(name, {}).get("connect", ()):
                yield f"GRANT CONNECT ON DATABASE {identifier(name)} TO {identifier(login)}"


def _owner(name: str, role: Mapping[str, Any] | None) -> Iterator[str]:
    if role is None:
        yield f"CREATE ROLE {identifier(name)} NOLOGIN"
    elif role["login"]:
        yield f"ALTER ROLE {identifier(name)} NOLOGIN"


def _login(name: str, password: str, role: Mapping[str, Any] | None, acts_as: str | None) -> Iterator[str]:
    if role is None:
        yield f"CREATE ROLE {identifier(name)} LOGIN PASSWORD {literal(verifier(password))}"
    elif not role["login"] or not matches(role["password"], password):
        yield f"ALTER ROLE {identifier(name)} LOGIN PASSWORD {literal(verifier(password))}"
    if acts_as is not None and (role is None or role["role"] != acts_as):
        yield f"ALTER ROLE {identifier(name)} SET role = {literal(acts_as)}"


def _member(group: str, member: str, members: set[tuple[Any, ...]]) -> Iterator[str]:
    if (group, member) not in members:
        yield f"GRANT {identifier(group)} TO {identifier(member)}"


def _lock_timeouts(
    database: str, logins: Iterable[str], wanted: Mapping[str, Any], current: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what gives the logins the timeout of locks that they have while they migrate, and takes it away again."""
    value = wanted.get("lock_timeouts", {}).get(database)
    now = {login: found for login, name, found in current.get("lock_timeouts", []) if name == database}
    for login in logins:
        place = f"ALTER ROLE {identifier(login)} IN DATABASE {identifier(database)}"
        if value and now.get(login) != value:
            yield f"{place} SET lock_timeout = {literal(value)}"
        elif not value and login in now:
            yield f"{place} RESET lock_timeout"


def _database(name: str, database: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> Iterator[str]:
    if database is None:
        kind = "".join(f" {word} {literal(wanted[key])}" for key, word in KINDS.items() if wanted.get(key))
        yield f"CREATE DATABASE {identifier(name)} OWNER {identifier(name)}{kind and f'{kind} TEMPLATE template0'}"
    elif database["owner"] != name:
        yield f"ALTER DATABASE {identifier(name)} OWNER TO {identifier(name)}"
    # By default, every role can connect to every database.
    if database is None or database["public"]:
        yield f"REVOKE ALL ON DATABASE {identifier(name)} FROM PUBLIC"
