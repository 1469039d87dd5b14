# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A run's side of the environment's lock: starting its holder, and words for what the holder says."""

from __future__ import annotations

import contextlib
import getpass
import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from ...lock import remote as lock_remote
from . import holder

PATH = "/run/greenroom/lock.json"
RENEW = 5.0
EXPIRES = 20.0
# The lock's connection is its own: a reset of the shared one must not drop it, and one that hangs must be noticed.
SSH_OPTIONS = (
    "-T",
    *("-o", "BatchMode=yes"),
    *("-o", "ControlMaster=no"),
    *("-o", "ControlPath=none"),
    *("-o", "ServerAliveInterval=5"),
    *("-o", "ServerAliveCountMax=2"),
)

Event = dict[str, Any]


def address(environment: str, pid: int) -> bytes:
    """Return where the holder of run `pid`'s lock listens. Raises ProcessLookupError when there is no such process."""
    started = holder.start_time(pid)
    if started is None:
        raise ProcessLookupError(pid)
    return holder.socket_name(environment, pid, started)


def remote_command() -> str:
    """Return what a shell on the lock's host runs."""
    return f"python3 -I -u -c {shlex.quote(holder.BOOTSTRAP)}"


def myself(run: str, pid: int, playbook: str) -> Event:
    """Return the holder as the lock file names it."""
    return {
        "id": run,
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "pid": pid,
        "playbook": playbook,
        "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def start(
    command: list[str],
    environment: str,
    me: Event,
    *,
    password: str | None = None,
    path: str = PATH,
    expires: float = EXPIRES,
    renew: float = RENEW,
    scratch: str | None = None,
) -> Iterator[Event]:
    """Start the holder for run `me` with the connection `command`; yield what it says up to a verdict.

    `scratch` is a folder that the run's process removes when it ends in an orderly way: then the lock is given back.
    Events are {event: waiting|held|refused|failed|unreachable, ...}; the last one is the verdict. Seconds throughout.
    """
    code = Path(lock_remote.__file__).read_text(encoding="utf-8")
    remote = {"code": code, "path": path, "me": me, "expires": expires}
    order = {
        "command": command,
        "remote": remote,
        "password": password,
        "environment": environment,
        "renew": renew,
        "pid": me["pid"],
        "scratch": scratch,
        "started": holder.start_time(me["pid"]),
    }
    child = subprocess.Popen(
        [sys.executable, "-I", holder.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Neither the terminal's signals nor its working directory are the holder's.
        start_new_session=True,
        cwd="/",
    )
    # One that could not even start has closed its end; what it says, or that it says nothing, is told below.
    with contextlib.suppress(BrokenPipeError), cast(IO[bytes], child.stdin) as orders:
        orders.write(json.dumps(order).encode() + b"\n")
    with cast(IO[bytes], child.stdout) as events:
        for line in events:
            event: Event = json.loads(line)
            yield event
            if event["event"] != "waiting":
                return
    yield {"event": "unreachable", "message": "the lock's holder ended", "code": child.wait()}
