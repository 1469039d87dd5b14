# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The environment's lock, on the controller: starts the process that holds it."""

from __future__ import annotations

import contextlib
import getpass
import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from ...lock import remote as lock_remote
from . import holder

Event = dict[str, Any]


def address(environment: str, pid: int) -> bytes:
    """Return the address of the holder of run `pid`'s lock. Raises ProcessLookupError if there is no such process."""
    started = holder.start_time(pid)
    if started is None:
        raise ProcessLookupError(pid)
    return holder.socket_name(environment, pid, started)


def ssh_options(timeout: float) -> list[str]:
    """Return options of ssh for the lock's own connection, which ends if the host is silent for `timeout` seconds.

    Resetting the connection that Ansible shares must not drop the lock.
    """
    alive = (f"ServerAliveInterval={max(1, round(timeout / 2))}", "ServerAliveCountMax=2")
    options = ("BatchMode=yes", "ControlMaster=no", "ControlPath=none", *alive)
    return ["-T", *(word for option in options for word in ("-o", option))]


def remote_command() -> str:
    """Return the shell command for the lock's host."""
    return f"python3 -I -u -c {shlex.quote(holder.BOOTSTRAP)}"


def myself(run: str, pid: int, playbook: str, user: str = "", reason: str = "") -> Event:
    """Return this run's entry for the lock file and the history.

    `user` is who started the run, if that isn't the user of this process. `reason` is the operator's, if there is one.
    """
    return {
        "id": run,
        "user": user or getpass.getuser(),
        "host": socket.gethostname(),
        "pid": pid,
        "playbook": playbook,
        "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **({"reason": reason} if reason else {}),
    }


def start(
    command: list[str],
    environment: str,
    me: Event,
    *,
    seconds: Mapping[str, float],
    path: str,
    pause: str = "",
    history: str = "",
    password: str | None = None,
    scratch: str | None = None,
) -> Iterator[Event]:
    """Start the holder for run `me` with the connection `command`; yield its events up to the final one.

    `path` is the lock's file on its host, `pause` the one that says whether its holder waits for an operator, `history`
    the one with the history of the runs.
    `seconds` = {renew, expire, poll, timeout, reconnect}, the times of the lock (environment_lock_<name>_seconds).
    `scratch` is a folder that the run's process removes if it ends normally; the holder then releases the lock.
    Events are {event: waiting|held|refused|failed|unreachable, ...}; the last one is final.
    """
    code = Path(lock_remote.__file__).read_text(encoding="utf-8")
    remote = {
        "code": code,
        "path": path,
        "pause": pause,
        "history": history,
        "me": me,
        "expires": seconds["expire"],
        "poll": seconds["poll"],
    }
    order = {
        "command": command,
        "remote": remote,
        "password": password,
        "environment": environment,
        "seconds": dict(seconds),
        "pid": me["pid"],
        "scratch": scratch,
        "started": holder.start_time(me["pid"]),
    }
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", holder.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # The holder must neither get the terminal's signals nor keep its working directory busy.
        start_new_session=True,
        cwd="/",
    )
    # If the holder can't even start, the pipe is closed. The events below then report that.
    with contextlib.suppress(BrokenPipeError), cast(IO[bytes], child.stdin) as orders:
        orders.write(json.dumps(order).encode() + b"\n")
    with cast(IO[bytes], child.stdout) as events:
        for line in events:
            event: Event = json.loads(line)
            yield event
            if event["event"] != "waiting":
                return
    yield {"event": "unreachable", "message": "the process that holds the lock ended", "code": child.wait()}
