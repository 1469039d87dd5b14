# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What HAProxy's processes have in memory for one map: asked and set over its sockets, without a reload.

The runtime socket reaches the newest worker only. Older ones live on after a reload until their connections are done,
and still route: they are reached through the master's socket.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from .web import Deadline


class SocketError(Exception):
    """A socket or worker that did not do what it was asked; the text says which and why."""


class NobodyThereError(SocketError):
    """Nobody listens at a socket, or a worker has ended."""


class UnknownMapError(SocketError):
    """A worker whose configuration does not use the map: nothing it routes depends on it."""


@dataclass(frozen=True)
class Worker:
    """A process of HAProxy: how it is reached, and whether a newer one took over from it."""

    name: str
    socket: str
    prefix: str = ""
    old: bool = False


def ask(path: str, command: str, seconds: float) -> str:
    """Send one command to a socket and return the whole answer; raises SocketError."""
    deadline = Deadline(seconds)
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(deadline.wait())
            channel.connect(path)
            channel.sendall(command.encode() + b"\n")
            # The master keeps a connection open until it hears that no other command follows.
            channel.shutdown(socket.SHUT_WR)
            while True:
                channel.settimeout(deadline.wait())
                chunk = channel.recv(65536)
                if not chunk:
                    return answer.decode(errors="replace").strip()
                answer += chunk
    except TimeoutError as error:
        raise SocketError(f"{path} did not answer within {seconds:g} s") from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NobodyThereError(f"nobody listens at {path}") from error
    except OSError as error:
        raise SocketError(f"{path}: {error.strerror or error}") from error


def workers(runtime_socket: str, master_socket: str, seconds: float) -> list[Worker]:
    """Return the processes that may route requests, newest first; empty when HAProxy is not running.

    Without a master (HAProxy can be started without one) the process behind the runtime socket is all there is.
    Raises SocketError when a process listens and does not answer.
    """
    with contextlib.suppress(NobodyThereError):
        return _listed(ask(master_socket, "show proc", seconds), master_socket)
    try:
        ask(runtime_socket, "show version", seconds)
    except NobodyThereError:
        return []
    return [Worker("newest", runtime_socket)]


def _listed(listing: str, master_socket: str) -> list[Worker]:
    """Take the workers out of the answer to `show proc`."""
    found = []
    old = False
    for line in listing.splitlines():
        fields = line.split()
        if line.startswith("# old workers"):
            old = True
        elif len(fields) > 1 and fields[0].isdigit() and fields[1] == "worker":
            found.append(Worker(fields[0], master_socket, f"@!{fields[0]} ", old))
    return found


def read(worker: Worker, map_file: str, key: str, seconds: float) -> str | None:
    """Return the value of `key` in a worker's map, None when the key is not in it.

    Raises NobodyThereError when the worker has ended, UnknownMapError when it knows no such map, SocketError when it
    does not answer.
    """
    answer = ask(worker.socket, f"{worker.prefix}show map {map_file}", seconds)
    for line in answer.splitlines():
        entry = line.split(maxsplit=2)
        if not entry[0].startswith("0x"):
            raise _refusal(line)(f"worker {worker.name}: {line}")
        if len(entry) == 3 and entry[1] == key:
            return entry[2]
    return None


def _refusal(line: str) -> type[SocketError]:
    if "find the target" in line:
        return NobodyThereError
    return UnknownMapError if "nknown map" in line else SocketError


def put(worker: Worker, map_file: str, key: str, value: str, seconds: float) -> None:
    """Set `key` in a worker's map, new or not, and read it back; raises SocketError when it is not there then."""
    verb = "add" if read(worker, map_file, key, seconds) is None else "set"
    answer = ask(worker.socket, f"{worker.prefix}{verb} map {map_file} {key} {value}", seconds)
    if read(worker, map_file, key, seconds) != value:
        raise SocketError(f"worker {worker.name} did not take {value}: {answer or 'it gave no reason'}")
