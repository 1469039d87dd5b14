# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Read and set one map in the memory of HAProxy's processes, over its sockets, without a reload.

The runtime socket reaches the newest worker only. After a reload, older workers keep running and routing requests until
their connections end. The master socket reaches them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

# How `show stat` numbers what it is asked for.
BACKENDS, SERVERS = 2, 4
SOCKETS: dict[str, dict[str, Any]] = {
    "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
    "master_socket": {"type": "path", "default": "/run/haproxy-master.sock"},
}
"""Options of modules that ask HAProxy, documented in the fragment `greenroom.haproxy`."""
FLAPS, STEADY_SECONDS = 3, 4
"""A server that has gone down so often is healthy only once it has been up for so many seconds."""
DEAD_SECONDS = 0.3
"""HAProxy counts as not running once no process has listened at either socket for this long."""


class SocketError(Exception):
    """A socket or worker failed to do what it was asked; the text says which one and why."""


class NobodyThereError(SocketError):
    """No process listens at a socket, or a worker has ended."""


class UnknownMapError(SocketError):
    """A worker's configuration doesn't use the map, so its routing doesn't depend on it."""


@dataclass(frozen=True)
class Worker:
    """An HAProxy worker: how to reach it, and whether a newer one has replaced it.

    With a `prefix`, `socket` is the master socket, and `runtime` tells whether HAProxy runs while the master is away.
    """

    name: str
    socket: str
    prefix: str = ""
    old: bool = False
    runtime: str = ""


def ask(path: str, command: str, seconds: float) -> str:
    """Send a line of commands to a socket and return the whole response; raises SocketError."""
    give_up = time.monotonic() + seconds
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(seconds)
            channel.connect(path)
            channel.sendall(command.encode() + b"\n")
            # The master keeps a connection open until it hears that no other command follows.
            channel.shutdown(socket.SHUT_WR)
            while True:
                # The socket's own timeout starts again with every byte.
                left = give_up - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                channel.settimeout(left)
                chunk = channel.recv(65536)
                if not chunk:
                    return answer.decode(errors="replace").strip()
                answer += chunk
    except TimeoutError as error:
        raise SocketError(f"{path} did not answer within {seconds:.3g} s") from error
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, BrokenPipeError) as error:
        raise NobodyThereError(f"no process listens at {path}") from error
    except OSError as error:
        raise SocketError(f"{path}: {error.strerror or error}") from error


def _ask_master(master: str, runtime: str, command: str, seconds: float) -> str:
    """Send a command to the master, and retry while the master is away; raises NobodyThereError if there is none.

    With each reload the master restarts. It listens at its socket only after it has read its configuration.
    """
    give_up = time.monotonic() + seconds
    last_sign = time.monotonic()
    while True:
        try:
            return ask(master, command, max(0.01, give_up - time.monotonic()))
        except NobodyThereError as error:
            if not os.path.exists(master):
                raise
            try:
                ask(runtime, "show version", seconds)
                last_sign = time.monotonic()
            except NobodyThereError:
                # Check this before the timeout, so that a slow caller still learns that HAProxy isn't running.
                if time.monotonic() - last_sign > DEAD_SECONDS:
                    raise
            if time.monotonic() > give_up:
                raise SocketError(f"HAProxy's master was away for {seconds:.3g} s") from error
            time.sleep(0.01)


def _ask_worker(worker: Worker, commands: list[str], seconds: float) -> str:
    """Send commands to a worker over one connection, because each connection costs time; raises SocketError."""
    line = ";".join(worker.prefix + command for command in commands)
    if worker.prefix:
        return _ask_master(worker.socket, worker.runtime, line, seconds)
    return ask(worker.socket, line, seconds)


def workers(runtime_socket: str, master_socket: str, seconds: float) -> list[Worker]:
    """Return the processes that may route requests, newest first; empty if HAProxy isn't running.

    Without a master (HAProxy can run without one), this is the process behind the runtime socket.
    Raises SocketError if a process listens and doesn't respond.
    """
    with contextlib.suppress(NobodyThereError):
        listing = _ask_master(master_socket, runtime_socket, "show proc", seconds)
        return _listed(listing, master_socket, runtime_socket)
    try:
        ask(runtime_socket, "show version", seconds)
    except NobodyThereError:
        return []
    return [Worker("newest", runtime_socket)]


def _listed(listing: str, master_socket: str, runtime_socket: str) -> list[Worker]:
    """Return the workers in the output of `show proc`."""
    found = []
    old = False
    for line in listing.splitlines():
        fields = line.split()
        if line.startswith("# old workers"):
            old = True
        elif len(fields) > 1 and fields[0].isdigit() and fields[1] == "worker":
            found.append(Worker(fields[0], master_socket, f"@!{fields[0]} ", old, runtime_socket))
    return found


def read(worker: Worker, map_file: str, key: str, seconds: float) -> str | None:
    """Return the value of `key` in a worker's map, None if the map doesn't have the key.

    Raises NobodyThereError if the worker has ended, UnknownMapError if it doesn't have the map, SocketError if it
    doesn't respond.
    """
    for line in _ask_worker(worker, [f"show map {map_file}"], seconds).splitlines():
        entry = line.split(maxsplit=2)
        if not entry:
            continue
        if not entry[0].startswith("0x"):
            raise _refusal(line)(f"worker {worker.name}: {line}")
        if len(entry) == 3 and entry[1] == key:
            return entry[2]
    return None


def _refusal(line: str) -> type[SocketError]:
    if "find the target" in line:
        return NobodyThereError
    return UnknownMapError if "nknown map" in line else SocketError


def put(worker: Worker, map_file: str, key: str, value: str, seconds: float, *, found: str | None) -> None:
    """Set `key`, whose present value in the worker is `found`, and read it back.

    Raises SocketError if the worker then has another value, and the errors of `read`.
    """
    verb = "add" if found is None else "set"
    answer = _ask_worker(worker, [f"{verb} map {map_file} {key} {value}", f"show map {map_file}"], seconds)
    if not _has(answer, key, value):
        raise _refusal(answer)(f"worker {worker.name} did not accept {value}: {answer or 'it gave no reason'}")


def _has(answer: str, key: str, value: str) -> bool:
    return any(line.startswith("0x") and line.split(maxsplit=2)[1:] == [key, value] for line in answer.splitlines())


@dataclass(frozen=True)
class Backend:
    """The connections that a backend holds, whether one of its servers is healthy, and those that are not (`down`).

    A server of a service that crashes again and again is not healthy, although it passes a health check now and then.
    """

    connections: int
    healthy: bool
    down: tuple[str, ...] = ()


def statistics(worker: Worker, kinds: int, seconds: float) -> list[dict[str, str]]:
    """Return a worker's statistics of these `kinds` (BACKENDS, SERVERS), a row for each; raises SocketError."""
    everything = -1
    answer = _ask_worker(worker, [f"show stat {everything} {kinds} {everything}"], seconds)
    head, *lines = answer.splitlines() or [""]
    if not head.startswith("# pxname,"):
        raise _refusal(head)(f"worker {worker.name}: {head or 'empty response'}")
    columns = head.removeprefix("# ").split(",")
    return [dict(zip(columns, line.split(","), strict=False)) for line in lines if line]


def is_healthy(status: str) -> bool:
    """Return whether a server of this status may get traffic."""
    return status.startswith(("UP", "no check"))


def backends(worker: Worker, seconds: float) -> dict[str, Backend]:
    """Return a worker's backends by name; raises SocketError."""
    rows = statistics(worker, BACKENDS | SERVERS, seconds)
    down: dict[str, tuple[str, ...]] = {}
    steady: set[str] = set()
    for row in rows:
        if row["svname"] == "BACKEND":
            continue
        if is_healthy(row["status"]) and not _flaps(row):
            steady.add(row["pxname"])
        else:
            down[row["pxname"]] = (*down.get(row["pxname"], ()), row["svname"])
    return {
        row["pxname"]: Backend(
            int(row["scur"]), row["status"].startswith("UP") and row["pxname"] in steady, down.get(row["pxname"], ())
        )
        for row in rows
        if row["svname"] == "BACKEND"
    }


def _flaps(row: dict[str, str]) -> bool:
    """Whether a server has gone down again and again, and came up a moment ago."""
    return int(row.get("chkdown") or 0) >= FLAPS and int(row.get("lastchg") or STEADY_SECONDS) < STEADY_SECONDS


def shown(worker: Worker, command: str, seconds: float) -> str:
    """Return a worker's output of a command such as `show info`.

    Raises NobodyThereError if the worker has ended, SocketError if it doesn't respond.
    """
    answer = _ask_worker(worker, [command], seconds)
    if _refusal(answer[:100]) is NobodyThereError:
        raise NobodyThereError(f"worker {worker.name}: {answer}")
    return answer


def reload(master_socket: str, runtime_socket: str, seconds: float) -> str:
    """Reload HAProxy through the master; returns its output, raises SocketError if the reload fails.

    If the new worker doesn't start, the old one keeps serving.
    """
    answer = _ask_master(master_socket, runtime_socket, "reload", seconds)
    if not answer.startswith("Success=1"):
        raise SocketError(f"HAProxy was not reloaded: {answer or 'empty response'}")
    return answer
