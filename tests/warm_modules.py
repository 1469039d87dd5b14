# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs the modules of a play on this machine without Python's start: each is a fork of a process with `basic.py`.

A module gets its payload as always, from the standard input, and imports its own code from the payload. Only what is
Ansible's own, and Python's, is there already.
"""

from __future__ import annotations

import importlib
import itertools
import os
import shlex
import sys
import tempfile
import types
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

from tests import warm_client, warm_server

LOADER = "ansible.module_utils._internal._ansiballz._loader"
PROFILES = "ansible.module_utils._internal._json._profiles"
# What most modules import.
LATER = (
    *("ansible.module_utils.basic", LOADER, f"{PROFILES}._module_legacy_c2m", f"{PROFILES}._module_legacy_m2c"),
    *("base64", "concurrent.futures", "dataclasses", "email.utils", "fcntl", "hashlib", "hmac", "http.client"),
    *("http.cookies", "ipaddress", "pwd", "grp", "random", "resource", "runpy", "shutil", "socket", "sqlite3", "ssl"),
    *("statistics", "subprocess", "tempfile", "threading", "urllib.parse", "urllib.request", "uuid", "zipfile"),
    "zipimport",
)


def _prepare(_folder: Path) -> warm_server.Become:
    for name in LATER:
        importlib.import_module(name)
    # Otherwise modules would be as on a controller.
    assert "ansible._internal" not in sys.modules
    loader: Any = importlib.import_module(LOADER)
    run_module = loader.run_module

    def run(**given: Any) -> None:
        # The packages that are there don't know the payload, which comes first.
        for name in ("ansible", "ansible.module_utils"):
            sys.modules[name].__path__.insert(0, str(Path(given["modlib_path"], *name.split("."))))
        run_module(**given)

    loader.run_module = run
    return _become


def _become(request: dict[str, Any], files: list[int]) -> NoReturn:
    """Make this process one run of a module: as `python` with a program as its standard input."""
    warm_server.adopt(request, files, 0)
    with os.fdopen(os.dup(0), "rb") as file:
        program = file.read()
    sys.argv = [""]
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    exec(compile(program, "<stdin>", "exec"), main.__dict__)
    sys.exit()


def _wanted(command: str) -> dict[str, str] | None:
    """Return the variables of a command that runs this Python and nothing else, otherwise None."""
    *shell, line = shlex.split(command)
    if shell != ["/bin/sh", "-c"]:
        return None
    *words, program = shlex.split(line) or [""]
    variables = dict(word.split("=", 1) for word in itertools.takewhile(lambda word: "=" in word, words))
    usual = " ".join([*(f"{name}={shlex.quote(value)}" for name, value in variables.items()), sys.executable])
    return variables if program == sys.executable and line == usual else None


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def use(place: str) -> None:
    """Make this process, which has imported Ansible, run modules by the server at `place`."""
    display: Any = importlib.import_module("ansible.utils.display")
    module: Any = importlib.import_module("ansible.plugins.connection.local")
    # The loader would import the file again, by another name. It may not look for it here: it remembers folders.
    loader: Any = importlib.import_module("ansible.plugins.loader")
    loader.connection_loader._module_cache[module.__file__] = module
    local = module.Connection
    early = warm_server.early(os.environ)
    execute = local.exec_command

    def run(connection: Any, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        variables: Mapping[str, str] | None = None
        # With more words, Ansible prints the command.
        if in_data and not connection.become and display.Display().verbosity < 3:
            variables = _wanted(cmd)
        environment = {**os.environ, **(variables or {})}
        if variables is None or warm_server.early(environment) != early:
            return tuple(execute(connection, cmd, in_data=in_data, sudoable=sudoable))
        super(local, connection).exec_command(cmd, in_data=in_data, sudoable=sudoable)
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(in_data or b"")
            given.seek(0)
            files = [file.fileno() for file in (given, out, err)]
            with warm_client.ask(place, [], connection.cwd or os.getcwd(), environment, files) as answers:
                answers.readline()
                code = int(answers.readline().split()[0])
            # As the shell says it.
            return code if code >= 0 else 128 - code, _content(out), _content(err)

    local.exec_command = run


if __name__ == "__main__":
    warm_server.main(sys.argv[1:], _prepare)
