# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Valkey's logins: the ACL file of the server on this host, converged to the desired state.

The server reads the file when it starts, and again when told to. Its administrator is one more login in the file,
with a password that never leaves the host.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common.durable import remove, write

FILE = "/etc/valkey/users.acl"
PASSWORD = "/etc/valkey/administrator"
SOCKET = "/run/valkey/valkey-server.sock"
ADMINISTRATOR = "greenroom-administrator"
UNIT = "valkey-server.service"
# While it exists, the server may not have read the file of logins yet.
PENDING = "/etc/valkey/users.pending"
# Services use keys and channels of their own. They can't see or change the server, nor other clients. Functions and the
# scripts that the server keeps are everybody's: one service could change what runs for another.
RIGHTS = "+@all -@admin -@dangerous +info -function -script|flush -script|kill"
OWNER = "valkey"
OFF = "user default off"


class CacheError(Exception):
    """The server refused an action; the text has no secret."""


def pattern(cache: Mapping[str, Any], slot: str) -> str:
    """Return the prefix of a service's keys in `slot`; with `slots: own`, each slot has one of its own."""
    return f"{cache['prefix']}{slot}:" if cache["slots"] == "own" else str(cache["prefix"])


def desired(
    catalogue: Mapping[str, Mapping[str, Any]],
    secrets_values: Mapping[str, Mapping[str, Any]],
    slots: Iterable[str],
    kept: Iterable[str] = (),
) -> dict[str, dict[str, Any]]:
    """Return {login: {password, prefix}}; only the logins of `slots`, so that those of the live slot can stay.

    Those of `kept` slots are only created if they are missing, as on a new server: {kept: True}.
    """
    only_missing = list(kept)
    return {
        f"{name}_{slot}": {
            "password": secrets_values[f"{name}/cache/{slot}"]["password"],
            "prefix": pattern(service["cache"], slot),
            **({"kept": True} if slot in only_missing else {}),
        }
        for slot in (*slots, *only_missing)
        for name, service in catalogue.items()
        if service["cache"] and f"{name}/cache/{slot}" in secrets_values
    }


def line(login: str, password: str, prefix: str, rights: str = RIGHTS) -> str:
    """Return the line of a login; the server compares the password's hash."""
    digest = hashlib.sha256(password.encode()).hexdigest()
    return f"user {login} on #{digest} ~{prefix}* &{prefix}* {rights}"


def merged(text: str, wanted: Mapping[str, Mapping[str, Any]], administrator: str) -> tuple[str, list[str]]:
    """Return the file with the wanted logins, and which of them changed. Others stay: a slot may still use them."""
    lines = {words[1]: own for own in text.splitlines() if len(words := own.split()) > 1 and words[0] == "user"}
    new = {
        "default": OFF,
        ADMINISTRATOR: line(ADMINISTRATOR, administrator, "", "+@all"),
        **{
            login: lines[login] if its.get("kept") and login in lines else line(login, its["password"], its["prefix"])
            for login, its in wanted.items()
        },
    }
    changed = [login for login, own in new.items() if lines.get(login) != own]
    return "".join(f"{own}\n" for own in (lines | new).values()), changed


def converge(
    run: Callable[..., tuple[int, str, str]], wanted: Mapping[str, Mapping[str, Any]], check: bool
) -> list[str]:
    """Converge the logins, or predict the changes in `check` mode; return the logins that changed."""
    file, kept = Path(FILE), Path(PASSWORD)
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    first = not kept.exists()
    password = secrets.token_hex() if first else kept.read_text(encoding="utf-8").strip()
    content, changed = merged(text, wanted, password)
    # A run that was killed may have left a file that the server doesn't know.
    pending = Path(PENDING).exists()
    if pending:
        changed = list(dict.fromkeys([*changed, *wanted]))
    if check or not (changed or pending):
        return changed
    write(PENDING, b"", mode=0o600)
    _write(file, content)
    for command, environment in _loads(first, password):
        code, answer, complaint = run(command, environ_update=environment)
        if code != 0:
            # So that the next run does not take the change for done.
            _write(file, text)
            raise CacheError(f"Valkey can't load its logins: {' '.join((complaint or answer).split())}")
    if first:
        # Only now: without this file, the next run starts the server again.
        write(PASSWORD, f"{password}\n".encode(), mode=0o600)
    remove(PENDING)
    return changed


def _write(file: Path, text: str) -> None:
    write(str(file), text.encode(), mode=0o600)
    shutil.chown(file, OWNER, OWNER)


def _loads(first: bool, password: str) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the commands that make the server read the file. One without an administrator can only start again."""
    if first:
        yield ["systemctl", "restart", UNIT], {}
    else:
        client = ["valkey-cli", "-e", "-s", SOCKET, "--user", ADMINISTRATOR]
        yield [*client, "ACL", "LOAD"], {"VALKEYCLI_AUTH": password, "REDISCLI_AUTH": password}
