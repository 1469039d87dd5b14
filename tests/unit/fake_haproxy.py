# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The sockets of an HAProxy whose workers each keep one map in memory, for tests."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from ansible.module_utils.greenroom.switch import haproxy


@dataclass
class FakeWorker:
    """A worker: its map (None: its configuration has none), what is wrong with it, and connections by backend.

    Each backend has the servers app1 and app2. `ill` are backends without a healthy server, and servers
    (`backend/server`). `drained` are servers that get no new requests. `flaps` is how often the servers have gone down,
    and seconds since the last change.
    """

    entries: dict[str, str] | None = field(default_factory=dict)
    old: bool = False
    hangs: bool = False
    refuses: bool = False
    gone: bool = False
    sessions: dict[str, int] = field(default_factory=dict)
    ill: set[str] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)
    flaps: tuple[int, int] = (0, 9000)


class FakeHaproxy:
    """Answers on a runtime and a master socket in `folder`, as HAProxy 3.0 does; `commands` is what it was told."""

    def __init__(self, folder: Path, map_file: str) -> None:
        self.runtime_socket = str(folder / "admin.sock")
        self.master_socket = str(folder / "master.sock")
        self.map_file = map_file
        self.workers: dict[str, FakeWorker] = {"100": FakeWorker()}
        self.commands: list[str] = []
        self.master_hangs = False
        self.ask = haproxy.ask
        self.over = threading.Event()

    def reload(self, pid: str, keep_old: bool = True) -> None:
        """Start a new worker with what the map file says now."""
        lines = Path(self.map_file).read_text().splitlines() if Path(self.map_file).exists() else []
        for worker in self.workers.values():
            worker.old = True
        if not keep_old:
            self.workers.clear()
        self.workers = {pid: FakeWorker(dict(line.split(maxsplit=1) for line in lines)), **self.workers}

    def values(self, site: str) -> dict[str, str | None]:
        return {pid: (worker.entries or {}).get(site) for pid, worker in self.workers.items()}

    def newest(self) -> FakeWorker:
        return next(worker for worker in self.workers.values() if not worker.old)

    def _ask(self, path: str, command: str, seconds: float) -> str:
        """Ask as HAProxy is asked; only who hangs is given up, however busy the machine is."""
        hanging = [f"@!{pid} " for pid, worker in self.workers.items() if worker.hangs]
        hangs = self.master_hangs or any(prefix in command for prefix in hanging)
        return str(self.ask(path, command, seconds if hangs else 60))

    def _master(self, line: str) -> str:
        if self.master_hangs:
            self.over.wait(60)
        if line == "show proc":
            current = [f"{pid} worker 0 0d00h00m01s 3.0" for pid, each in self.workers.items() if not each.old]
            old = [f"{pid} worker 1 0d00h00m09s 3.0" for pid, each in self.workers.items() if each.old]
            head = ["#<PID> <type> <reloads> <uptime> <version>", "1 master 0 [failed: 0] 0d00h01m 3.0", "# workers"]
            older = ["# old workers", *old] if old else []
            return "\n".join([*head, *current, *older, "# programs", "", ""])
        if ";" in line:
            return "".join(self._master(part) for part in line.split(";"))
        if line == "reload":
            self.reload(str(max(map(int, self.workers), default=99) + 1))
            return "Success=1\n--\n"
        prefix, _, command = line.partition(" ")
        pid = prefix.removeprefix("@!")
        if pid not in self.workers or self.workers[pid].gone:
            return f"Can't find the target PID matching the prefix '{prefix}'\n"
        return self._worker(self.workers[pid], command)

    def _worker(self, worker: FakeWorker, line: str) -> str:
        if worker.hangs:
            self.over.wait(60)
        if ";" in line:
            return "".join(self._worker(worker, part) for part in line.split(";"))
        if line == "show stat -1 6 -1":
            rows = [
                f"{name},{server},{current},{'DOWN' if ill else 'UP'},{worker.flaps[0]},{worker.flaps[1]},"
                for name, current in worker.sessions.items()
                for server, ill in (
                    *((server, name in worker.ill or f"{name}/{server}" in worker.ill) for server in ("app1", "app2")),
                    ("BACKEND", name in worker.ill),
                )
            ]
            return "\n".join(["# pxname,svname,scur,status,chkdown,lastchg,", *rows, "", ""])
        if line == "show stat -1 4 -1":
            rows = [
                f"{name},{server},{current},{_status(worker, f'{name}/{server}')},"
                for name, current in worker.sessions.items()
                for server in ("app1", "app2")
            ]
            return "\n".join(["# pxname,svname,scur,status,", *rows, "", ""])
        if line.startswith("set server "):
            place, state = line.split()[2::2]
            if worker.refuses:
                return "Permission denied\n\n"
            worker.drained = worker.drained | {place} if state == "drain" else worker.drained - {place}
            return "\n"
        verb, _, rest = line.partition(" map ")
        return self._map(worker, verb, rest) if rest else "3.0.11\n\n"

    def _map(self, worker: FakeWorker, verb: str, rest: str) -> str:
        name, *arguments = rest.split(" ", 2)
        if worker.entries is None or name != self.map_file:
            return "Unknown map identifier. Please use #<id> or <file>.\n\n"
        if verb == "show":
            return "".join(f"0x55d {key} {value}\n" for key, value in worker.entries.items()) + "\n"
        if verb == "set" and arguments[0] not in worker.entries:
            return "entry not found.\n\n"
        if worker.refuses:
            return "Permission denied\n\n"
        worker.entries[arguments[0]] = arguments[1]
        return "\n"

    def _listen(self, path: str, master: bool) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(20)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=treat, args=(client,), daemon=True).start()

        def treat(client: socket.socket) -> None:
            with client, client.makefile("r") as lines, contextlib.suppress(OSError):
                # Until the client has said that nothing follows, as the master does.
                for line in lines.read().splitlines():
                    self.commands.append(line)
                    client.sendall((self._master(line) if master else self._worker(self.newest(), line)).encode())

        threading.Thread(target=accept, daemon=True).start()
        return listener

    @contextlib.contextmanager
    def running(self, master: bool = True) -> Iterator[FakeHaproxy]:
        """Listen for the time of a with block, without a master socket if so wanted."""
        listeners = [self._listen(self.runtime_socket, master=False)]
        if master:
            listeners.append(self._listen(self.master_socket, master=True))
        try:
            with mock.patch.object(haproxy, "ask", self._ask):
                yield self
        finally:
            self.over.set()
            for listener in listeners:
                listener.close()
            for path in (self.runtime_socket, self.master_socket):
                Path(path).unlink(missing_ok=True)


def _status(worker: FakeWorker, place: str) -> str:
    """The status of a server, as HAProxy says it."""
    ill = place in worker.ill or place.partition("/")[0] in worker.ill
    return "DOWN" if ill else "DRAIN" if place in worker.drained else "UP"
