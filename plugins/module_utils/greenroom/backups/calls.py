# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Commands and SQL statements on the data host, as the user `postgres`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# `greenroom-database` says which version of PostgreSQL the host has.
VERSION = os.environ.get("GREENROOM_POSTGRES", "17")
DATA = Path(f"/var/lib/postgresql/{VERSION}/main")
PROGRAMS = Path(f"/usr/lib/postgresql/{VERSION}/bin")


class ClusterError(Exception):
    """What is wrong, and what to do next."""


def call(*command: str | Path, user: str = "postgres", what: str = "", text: str = "") -> str:
    """Return the output of a command that runs as `user`, or raise ClusterError with its last lines."""
    words = ["runuser", "-u", user, "--", *map(str, command)]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        said = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:])
        raise ClusterError(f"{what or Path(str(command[0])).name} failed: {said}")
    return done.stdout


def sql(statement: str, database: str = "postgres", *options: str | Path) -> str:
    """Return the result of a statement by the superuser."""
    words = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, *options, "-f", "-"]
    return call(*words, text=statement, what=f"PostgreSQL ({database})").strip()


def quoted(name: str) -> str:
    """Return a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a quoted string."""
    return "'" + text.replace("'", "''") + "'"
