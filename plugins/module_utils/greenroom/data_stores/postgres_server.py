# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A PostgreSQL server, through psql: this host's own as its superuser, or one elsewhere with an administrator's login.

An administrator elsewhere is often no superuser. It may create roles and databases, but can't read verifiers of
passwords, so a login tells whether its password is right. It can't set what the server logs, either.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import postgres, scram

PSQL = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse", "-f", "-"]
# The database for statements about the server itself.
MAINTENANCE = "postgres"
# Otherwise, the server would log failed statements with the verifiers in them.
QUIET = {"PGOPTIONS": "-c log_min_error_statement=panic -c log_statement=none -c log_min_duration_statement=-1"}
CA_FILE = "/etc/greenroom/ca.crt"
CONNECT_SECONDS = "10"


class NoAnswerError(Exception):
    """The server refused a statement; the text is its error message, without secrets."""


@contextmanager
def place(server: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Give the environment of psql for a `server` elsewhere, {} for this host's own.

    `server` = {host, port, address, user, password, ca, sslmode}. `ca` are the certificates to verify it with.
    """
    if not server.get("host"):
        yield dict(QUIET)
        return
    found = {
        "PGHOST": server["host"],
        "PGHOSTADDR": server.get("address"),
        "PGPORT": server.get("port"),
        "PGUSER": server.get("user"),
        "PGPASSWORD": server.get("password"),
        "PGSSLMODE": server.get("sslmode") or "verify-full",
        "PGSSLROOTCERT": CA_FILE,
        "PGCONNECT_TIMEOUT": CONNECT_SECONDS,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".crt") as file:
        if server.get("ca"):
            file.write(server["ca"])
            file.flush()
            found["PGSSLROOTCERT"] = file.name
        yield {name: str(value) for name, value in found.items() if value}


class Server:
    """The server. `run` is AnsibleModule.run_command, `environment` is what `place` gives."""

    def __init__(self, run: Callable[..., tuple[int, str, str]], environment: Mapping[str, str]) -> None:
        self._run = run
        self._environment = {"PGCLIENTENCODING": "UTF8", **environment}
        self._elsewhere = "PGHOST" in environment

    def ask(
        self, statement: str, what: str, database: str = MAINTENANCE, login: Mapping[str, str] | None = None
    ) -> str:
        """Return a statement's result, or raise `NoAnswerError` with the error message; `what` describes the action.

        `login` has variables for psql that replace the server's.
        """
        command = [*PSQL, "-d", database]
        environment = self._environment | dict(login or {})
        code, answer, complaint = self._run(command, data=f"{statement};\n", environ_update=environment)
        if code != 0:
            said = re.sub(r"^psql:(<stdin>:\d+:)?\s*", "", complaint.strip())
            where = f" at {self._environment['PGHOST']}" if self._elsewhere else ""
            raise NoAnswerError(postgres.without_verifiers(f"PostgreSQL{where} can't {what}: {said}"))
        return str(answer)

    def state(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the server's state, with what `plan` compares."""
        query = postgres.state_query(wanted, verifiers=not self._elsewhere)
        found: dict[str, Any] = json.loads(self.ask(query, "read its state"))
        if self._elsewhere:
            # A restart of a server elsewhere is its operator's business.
            found["waiting"] = []
            self._try_logins(wanted, found)
        return found

    def plan(self, wanted: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
        """Return the statements about roles and databases that are missing."""
        return postgres.plan(wanted, state, member=self._elsewhere)

    def extensions(self, wanted: Mapping[str, list[str]], made: list[str], check: bool) -> Iterator[tuple[str, str]]:
        """Yield (database, statement) for each extension that is missing; `made` are databases that exist.

        Raises NoAnswerError if the server doesn't have one. In `check` mode, a run would have installed it before.
        """
        for database, names in wanted.items():
            known: dict[str, list[str]] = {"there": [], "available": []}
            if database in made:
                known = json.loads(self.ask(postgres.EXTENSIONS_QUERY, f"list extensions of {database}", database))
            for name in names:
                if name in known["there"]:
                    continue
                if name not in known["available"] and not check:
                    raise NoAnswerError(
                        f'PostgreSQL has no extension "{name}" for the database {database}; name the Debian package '
                        f"that has it in service.yml: extensions: [{{name: {name}, package: <package>}}]"
                    )
                yield database, f"CREATE EXTENSION IF NOT EXISTS {postgres.identifier(name)} CASCADE"

    def unfinished_indexes(self, database: str) -> list[str]:
        """Return the quoted names of the indexes that a killed migration left unusable."""
        found: list[str] = json.loads(
            self.ask(postgres.UNFINISHED_QUERY, f"list unfinished indexes of {database}", database)
        )
        return found

    def _try_logins(self, wanted: Mapping[str, Any], state: dict[str, Any]) -> None:
        """Set the verifier of each login whose password is right: what the server would show to a superuser."""
        logins = {
            login: (password, database)
            for database, its in wanted["databases"].items()
            for login, password in its["logins"].items()
        } | {login: (password, MAINTENANCE) for login, password in wanted["readers"].items()}
        for login, (password, database) in logins.items():
            if login in state["roles"] and database in [*state["databases"], MAINTENANCE]:
                own = {"PGUSER": login, "PGPASSWORD": password}
                try:
                    self.ask("SELECT 1", f"log in {login}", database, own)
                except NoAnswerError:
                    continue
                state["roles"][login]["password"] = scram.verifier(password)


def converge(run: Callable[..., tuple[int, str, str]], params: Mapping[str, Any], check: bool) -> dict[str, Any]:
    """Converge a server, or predict the changes in `check` mode; return {statements, waiting, answers}."""
    wanted = {key: params.get(key) or {} for key in ("databases", "readers", "lock_timeouts")}
    wanted |= {key: params.get(key) for key in postgres.KINDS}
    with place(params["server"]) as environment:
        server = Server(run, environment)
        state = server.state(wanted)
        others = postgres.other_kinds(wanted, state)
        if others:
            raise NoAnswerError(
                f"{'; '.join(others)}. Texts would be sorted, compared or stored in another way than in your other "
                "environments. Dump the database, create it again and restore it, or state in the inventory what it has"
            )
        plan = server.plan(wanted, state)
        if not check:
            for statement in plan:
                server.ask(statement, statement)
        # In check mode, a database that is missing has no extensions yet.
        made = [*state["databases"]] if check else [*wanted["databases"]]
        shown = [postgres.without_verifiers(statement) for statement in plan]
        for database, statement in server.extensions(params["extensions"], made, check):
            if not check:
                server.ask(statement, f"{statement} in {database}", database)
            shown.append(f"{statement} -- in {database}")
        for database in params.get("unfinished_indexes") or ():
            for index in server.unfinished_indexes(database) if database in state["databases"] else ():
                if not check:
                    server.ask(f"DROP INDEX CONCURRENTLY IF EXISTS {index}", f"drop {index} in {database}", database)
                shown.append(
                    f"DROP INDEX CONCURRENTLY IF EXISTS {index} -- in {database}, a migration left it unfinished"
                )
        return {"statements": shown, "waiting": state["waiting"], "answers": _answers(server, params)}


def _answers(server: Server, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results of the queries: {database: [row as a dictionary]}."""
    found = {}
    for database, query in params["ask"].items():
        try:
            answer = server.ask(postgres.rows_query(query), f"run {query!r} in {database}", database)
        except NoAnswerError:
            if params["ask_strictly"]:
                raise
        else:
            found[database] = json.loads(answer)
    return found
