# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""RabbitMQ's server on this host: export and import its definitions, and converge them to the desired state."""

from __future__ import annotations

import json
import os
import pwd
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from . import broker

PROGRAM = "rabbitmqctl"
# Erlang's tool to call a server takes 0.05 s. rabbitmqctl takes a second or two, because it starts Erlang first.
QUICK = "erl_call"
# The name that roles/broker configures.
NODE = "rabbit@localhost"
# The call that `rabbitmqctl export_definitions` makes.
DEFINITIONS = "io:put_chars(rabbit_json:encode(rabbit_definitions:all_definitions()))."
FOLDER = "/var/lib/rabbitmq"
SERVER = "rabbitmq"
START_SECONDS = 60


class BrokerError(Exception):
    """The server refused an action. `definitions` are the changes that the call was making."""

    def __init__(self, message: str, definitions: list[str] | None = None) -> None:
        super().__init__(message)
        self.definitions = definitions or []


class Server:
    """The server. `run` is AnsibleModule.run_command, `quick` the path of erl_call, None if there is none."""

    def __init__(self, run: Callable[..., tuple[int, str, str]], quick: str | None) -> None:
        self._run = run
        self._quick = quick

    def call(self, doing: str, *words: str) -> str:
        """Return the output of the server's tool; raise BrokerError with a message that names the action."""
        code, answer, complaint = self._run([PROGRAM, "-q", *words])
        # The server may just be starting. Wait for it, then try again.
        if code != 0 and self._run([PROGRAM, "-q", "await_startup", "--timeout", str(START_SECONDS)])[0] == 0:
            code, answer, complaint = self._run([PROGRAM, "-q", *words])
        if code != 0:
            said = " ".join((complaint or answer).split())
            raise BrokerError(f"RabbitMQ can't {doing}: {said}")
        return str(answer)

    def export(self) -> dict[str, Any]:
        """Return all definitions of the server."""
        quick = self._quick_export()
        if quick is not None:
            return quick
        found: dict[str, Any] = json.loads(self.call("export its definitions", "export_definitions", "-"))
        return found

    def import_(self, definitions: broker.Definitions) -> None:
        """Import definitions from a file that only the server can read, because its tool can't read standard input."""
        with tempfile.NamedTemporaryFile("w", prefix=".greenroom-", dir=FOLDER) as file:
            server = pwd.getpwnam(SERVER)
            os.fchown(file.fileno(), server.pw_uid, server.pw_gid)
            json.dump(definitions, file)
            file.flush()
            self.call("import its definitions", "import_definitions", file.name)

    def _quick_export(self) -> dict[str, Any] | None:
        """Return all definitions of the server, or None if erl_call can't get them."""
        if self._quick is None:
            return None
        become = ["setpriv", f"--reuid={SERVER}", f"--regid={SERVER}", "--init-groups"]
        command = [*become, self._quick, "-sname", NODE, "-fetch_stdout", "-no_result_term", "-e"]
        # The Erlang cookie is in the server's home folder.
        options = {"cwd": FOLDER, "environ_update": {"HOME": FOLDER}, "handle_exceptions": False}
        try:
            code, answer, _complaint = self._run(command, data=DEFINITIONS, **options)
            found = json.loads(answer) if code == 0 else None
        # If the tool can't reach the server, it may end before it has read its input.
        except (BrokenPipeError, ValueError):
            return None
        return found if isinstance(found, dict) and "users" in found else None


def converge(server: Server, wanted: Mapping[str, Any], check: bool) -> list[str]:
    """Compare, change and compare again: an import doesn't report objects that it could not change.

    Return the changes as lines; with `check`, make none. Raises BrokerError.
    """
    without = sorted(set(wanted["logins"]) - set(wanted["passwords"]))
    if without:
        raise BrokerError(f"passwords: add a password for {', '.join(without)}")
    current = server.export()
    plan, strangers = broker.plan(wanted, current), broker.strangers(current)
    said = [*broker.lines(plan), *(f"users {name} (removed)" for name in strangers)]
    if check or not said:
        return said
    for name in strangers:
        server.call(f"remove the user {name}", "delete_user", name)
    if plan:
        server.import_(plan)
    left = broker.lines(broker.plan(wanted, server.export()))
    if left:
        raise BrokerError(
            f"RabbitMQ has other objects with these names and keeps them: {', '.join(left)}; "
            "delete them in RabbitMQ, then run this again",
            said,
        )
    return said
