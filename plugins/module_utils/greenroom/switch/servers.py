# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The servers of one host in HAProxy: take it out of the traffic before a reboot, and put it in again.

It is a state in the memory of HAProxy's processes. A reload or restart of HAProxy ends it, too.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import haproxy
from .haproxy import SocketError, Worker

POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Server:
    """A server of a backend: its status as HAProxy says it, and its open sessions."""

    backend: str
    name: str
    status: str
    sessions: int

    @property
    def place(self) -> str:
        """Return what HAProxy's commands call it."""
        return f"{self.backend}/{self.name}"

    @property
    def healthy(self) -> bool:
        """Whether it may get traffic."""
        return haproxy.is_healthy(self.status)

    @property
    def left_out(self) -> bool:
        """Whether it gets no new traffic by a command."""
        return self.status.startswith(("DRAIN", "MAINT"))


@dataclass(frozen=True)
class Edge:
    """How to reach HAProxy; a request to it may take `seconds`."""

    runtime_socket: str
    master_socket: str
    seconds: float = 5.0

    def workers(self) -> list[Worker]:
        """Return HAProxy's processes, newest first; raises SocketError if there is none."""
        found = haproxy.workers(self.runtime_socket, self.master_socket, self.seconds)
        if not found:
            raise SocketError("HAProxy does not run")
        return found


@dataclass(frozen=True)
class Outcome:
    """Whether something changed, the servers that were healthy before, and what is open or not healthy after it."""

    changed: bool = False
    healthy: list[str] = field(default_factory=list)
    sessions: int = 0
    missing: list[str] = field(default_factory=list)


def listed(worker: Worker, seconds: float) -> list[Server]:
    """Return all servers of a worker; raises SocketError."""
    rows = haproxy.statistics(worker, haproxy.SERVERS, seconds)
    return [Server(row["pxname"], row["svname"], row["status"], int(row["scur"] or 0)) for row in rows]


def lonely(servers: Iterable[Server], host: str, slot: str) -> list[str]:
    """Return the backends of a slot that would have no healthy server without `host`'s, though they have one now."""
    own: set[str] = set()
    others: set[str] = set()
    for server in servers:
        if server.backend.endswith(f"_{slot}") and server.healthy:
            (own if server.name == host else others).add(server.backend)
    return sorted(own - others)


def drain(edge: Edge, host: str, slot: str, wait: float, check: bool = False) -> Outcome:
    """Send no new requests to `host`, and wait until its open sessions end, for `wait` seconds at most.

    Raises SocketError if the live `slot` would then have a backend without a healthy server. Of a singleton there is
    one instance, in whose name is a colon: it has its traffic until it stops.
    """
    workers = edge.workers()
    found = listed(workers[0], edge.seconds)
    own = [server for server in found if server.name == host]
    if alone := lonely(found, host, slot):
        raise SocketError(f"no other server than {host} is healthy in {', '.join(alone)}")
    healthy = [server.place for server in own if server.healthy]
    changed = any(not server.left_out for server in own)
    if check:
        return Outcome(changed, healthy)
    _set(edge, workers, host, "drain")
    give_up = time.monotonic() + wait
    while (left := _sessions(edge, host)) and time.monotonic() < give_up:
        time.sleep(POLL_SECONDS)
    return Outcome(changed, healthy, left)


def ready(edge: Edge, host: str, expected: Iterable[str], wait: float, check: bool = False) -> Outcome:
    """Send `host` traffic again, and wait until the servers in `expected` are healthy, for `wait` seconds at most."""
    workers = edge.workers()
    own = [server for server in listed(workers[0], edge.seconds) if server.name == host]
    changed = any(server.left_out for server in own)
    healthy = [server.place for server in own if server.healthy]
    if check:
        return Outcome(changed, healthy)
    _set(edge, workers, host, "ready")
    give_up = time.monotonic() + wait
    while True:
        found = {server.place for server in listed(edge.workers()[0], edge.seconds) if server.healthy}
        missing = sorted(set(expected) - found)
        if not missing or time.monotonic() > give_up:
            return Outcome(changed, healthy, missing=missing)
        time.sleep(POLL_SECONDS)


def _set(edge: Edge, workers: Iterable[Worker], host: str, state: str) -> None:
    """Set the state of a host's servers in all workers: old ones still get requests over their open connections."""
    for worker in workers:
        with contextlib.suppress(haproxy.NobodyThereError):  # it has ended
            for server in listed(worker, edge.seconds):
                if server.name != host:
                    continue
                answer = haproxy.shown(worker, f"set server {server.place} state {state}", edge.seconds)
                if answer:
                    raise SocketError(f"worker {worker.name} did not set {server.place}: {answer}")


def _sessions(edge: Edge, host: str) -> int:
    """Return the open sessions of a host's servers in all workers."""
    found = 0
    for worker in edge.workers():
        with contextlib.suppress(haproxy.NobodyThereError):
            found += sum(server.sessions for server in listed(worker, edge.seconds) if server.name == host)
    return found
