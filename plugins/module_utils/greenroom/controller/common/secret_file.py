# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Sends secrets to a module in a file that only its account can read, and that is gone after the call."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleActionFail

# Root's file is in memory: /run is no disk.
WRITE = 'umask 077; file=$(mktemp -p /run greenroom.XXXXXXXX 2>/dev/null || mktemp) && cat >"$file" && echo "$file"'


class SecretFile:
    """A file on the host at `path`. Set `taken` when the module has removed it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.taken = False


def execute(
    action: Any,
    arguments: Mapping[str, Any],
    secrets: Mapping[str, str],
    task_vars: Any,
    has_started: Callable[[dict[str, Any]], bool],
) -> dict[str, Any]:
    """Return the result of the action's module, which gets `secrets` in a file, named in the argument `_secrets`.

    `has_started` tells from a result whether the module has started, and so has removed the file.
    """
    if not secrets:
        return dict(action._execute_module(module_args=dict(arguments), task_vars=task_vars))
    with sent(action, secrets) as file:
        found = dict(action._execute_module(module_args={**arguments, "_secrets": file.path}, task_vars=task_vars))
        file.taken = has_started(found)
        return found


@contextmanager
def sent(action: Any, secrets: Mapping[str, str]) -> Iterator[SecretFile]:
    """Write a file for the module that `action` calls in the block. Raises AnsibleActionFail."""
    content = json.dumps(dict(secrets))
    become = action._connection.become
    if action._connection.has_pipelining and (become is None or become.pipelining):
        done = action._low_level_execute_command(WRITE, in_data=content.encode())
        if done["rc"] != 0:
            raise AnsibleActionFail(f"the secrets can't be sent to the host: {done['stderr'].strip()}")
        # A login may print something first.
        file = SecretFile(str(done["stdout"]).split()[-1])
    else:
        file = SecretFile(_transferred(action, content))
    try:
        yield file
    finally:
        if not file.taken:
            action._low_level_execute_command(f"rm -f -- {shlex.quote(file.path)}")


def _transferred(action: Any, content: str) -> str:
    """Transfer a file over a connection that passes nothing to a command; return its path."""
    shell = action._connection._shell
    if shell.tmpdir is None:
        action._make_tmp_path()
    path = str(shell.join_path(shell.tmpdir, "secrets"))
    # The folder is closed to others, so nobody can read the file before its mode is set.
    action._transfer_data(path, content)
    action._remote_chmod([path], "u=rw,go=")
    action._fixup_perms2((shell.tmpdir, path), execute=False)
    return path
