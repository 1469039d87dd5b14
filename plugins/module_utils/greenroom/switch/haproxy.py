# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What HAProxy's processes have in memory for one map: asked and set over its sockets, without a reload.

The runtime socket reaches the newest worker only. Older ones live on after a reload until their connections are done,
and still route: they are reached through the master's socket.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import dataclass

DEAD_SECONDS = 0.3
"""How long both sockets have to be without anybody before HAProxy counts as not running."""


class SocketError(Exception):
    """A socket or worker that did not do what it was asked; the text says which and why."""


class NobodyThereError(SocketError):
    """Nobody listens at a socket (any more), or a worker has ended."""


class UnknownMapError(SocketError):
    """A worker whose configuration does not use the map: nothing it routes depends on it."""


@dataclass(frozen=True)
class Worker:
    """A process of HAProxy: how it is reached, and whether a newer one took over from it.

    With a `prefix`, `socket` is the master's, and `runtime` tells whether HAProxy lives while the master is away.
    """

    name: str
    socket: str
    prefix: str = ""
    old: bool = False
    runtime: str = ""


def ask(path: str, command: str, seconds: float) -> str:
    """Send a line of commands to a socket and return the whole answer; raises SocketError."""
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
                # A time limit of the socket's own would start again with every byte.
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
        raise NobodyThereError(f"nobody listens at {path}") from error
    except OSError as error:
        raise SocketError(f"{path}: {error.strerror or error}") from error


def _ask_master(master: str, runtime: str, command: str, seconds: float) -> str:
    """Send a command to the master, and again while it is away; raises NobodyThereError when there is none.

    At each reload the master starts anew, and nobody listens at its socket until it has read its configuration.
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
                # Before the limit is looked at: whoever is slow to ask still finds out that nobody is there.
                if time.monotonic() - last_sign > DEAD_SECONDS:
                    raise
            if time.monotonic() > give_up:
                raise SocketError(f"HAProxy's master was away for {seconds:.3g} s") from error
            time.sleep(0.01)


def _ask_worker(worker: Worker, commands: list[str], seconds: float) -> str:
    """Send commands to a worker over one connection, as each costs as much as a command; raises SocketError."""
    line = ";".join(worker.prefix + command for command in commands)
    if worker.prefix:
        return _ask_master(worker.socket, worker.runtime, line, seconds)
    return ask(worker.socket, line, seconds)


def workers(runtime_socket: str, master_socket: str, seconds: float) -> list[Worker]:
    """Return the processes that may route requests, newest first; empty when HAProxy is not running.

    Without a master (HAProxy can be started without one) the process behind the runtime socket is all there is.
    Raises SocketError when a process listens and does not answer.
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
    """Take the workers out of the answer to `show proc`."""
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
    """Return the value of `key` in a worker's map, None when the key is not in it.

    Raises NobodyThereError when the worker has ended, UnknownMapError when it knows no such map, SocketError when it
    does not answer.
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
    """Set `key`, of which the worker has `found`, and read it back.

    Raises SocketError when it is not there then, and what `read` raises.
    """
    verb = "add" if found is None else "set"
    answer = _ask_worker(worker, [f"{verb} map {map_file} {key} {value}", f"show map {map_file}"], seconds)
    if not _has(answer, key, value):
        raise _refusal(answer)(f"worker {worker.name} did not take {value}: {answer or 'it gave no reason'}")


def _has(answer: str, key: str, value: str) -> bool:
    return any(line.startswith("0x") and line.split(maxsplit=2)[1:] == [key, value] for line in answer.splitlines())


def sessions(worker: Worker, seconds: float) -> dict[str, int]:
    """Return how many connections each backend of a worker holds; raises SocketError."""
    everything, backends = -1, 2
    answer = _ask_worker(worker, [f"show stat {everything} {backends} {everything}"], seconds)
    head, *lines = answer.splitlines() or [""]
    if not head.startswith("# pxname,"):
        raise _refusal(head)(f"worker {worker.name}: {head or 'it gave no answer'}")
    columns = head.removeprefix("# ").split(",")
    name, current = columns.index("pxname"), columns.index("scur")
    rows = [line.split(",") for line in lines if line]
    return {row[name]: int(row[current]) for row in rows}


def reload(master_socket: str, runtime_socket: str, seconds: float) -> str:
    """Let the master start a worker with what its files say now; returns what it says, raises SocketError if it fails.

    The old worker goes on serving when the new one does not start.
    """
    answer = _ask_master(master_socket, runtime_socket, "reload", seconds)
    if not answer.startswith("Success=1"):
        raise SocketError(f"HAProxy was not reloaded: {answer or 'it gave no answer'}")
    return answer
