# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A real HAProxy with master and workers in its own folder, for timing the switch and for kills.

Standard library only: this runs where HAProxy is installed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from plugins.module_utils.greenroom.switch.apply import Places

SITE = "test"
TIMEOUT = 30.0
"""Timeout in seconds. It is long because any process can stall for seconds on a busy machine."""
CONFIGURATION = """
global
    stats socket {folder}/admin.sock mode 660 level admin
    hard-stop-after 120s
defaults
    mode http
    timeout connect 5s
    timeout client 120s
    timeout server 120s
    option idle-close-on-response
frontend public
    bind 127.0.0.1:{port}
    http-request set-var(txn.switch) str({site}),map({folder}/live.map)
    http-request return status 200 content-type text/plain lf-string "%[var(txn.switch)]" if {{ path / }}
    use_backend app_%[var(txn.switch),field(2,:)]
backend app_blue
    server silent 127.0.0.1:{silent}
backend app_green
    server silent 127.0.0.1:{silent}
"""


class Proxy:
    """HAProxy in `folder`; its backends accept requests and never respond."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sockets = (f"{folder}/admin.sock", f"{folder}/master.sock")
        self.places = Places(SITE, f"{folder}/state.json", f"{folder}/live.map", *sockets, TIMEOUT)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = _free_port()
        silent = self._listener.getsockname()[1]
        text = CONFIGURATION.format(folder=folder, port=self.port, silent=silent, site=SITE)
        (folder / "haproxy.cfg").write_text(text)
        (folder / "live.map").touch()
        self._process: subprocess.Popen[bytes] | None = None
        self._held: list[socket.socket] = []

    def start(self) -> str:
        """Start it, and return its first response. Raises RuntimeError without one."""
        words = ["haproxy", "-W", "-S", self.places.master_socket, "-f", str(self.folder / "haproxy.cfg")]
        with (self.folder / "log").open("ab") as log:
            # Its own process group, so that master and workers can be killed together.
            self._process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        give_up = time.monotonic() + 2 * TIMEOUT
        while (answer := self.value()) is None:
            if time.monotonic() > give_up:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.01)
        return answer

    def kill(self) -> None:
        """Kill master and workers, as a crash would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(2 * TIMEOUT)
            self._process = None

    @property
    def runs(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None

    @property
    def group(self) -> int:
        """Process group of master and workers."""
        if self._process is None:
            raise RuntimeError("HAProxy isn't running")
        return self._process.pid

    def value(self) -> str | None:
        """Return the map value that a new request gets, or None without a response."""
        return ask(self.port)

    def hold(self) -> None:
        """Start a request that never ends, so that its worker stays after a reload."""
        channel = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)
        channel.sendall(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        self._held.append(channel)

    def close(self) -> None:
        """Kill HAProxy and close all connections."""
        self.kill()
        for channel in (*self._held, self._listener):
            channel.close()


def ask(port: int) -> str | None:
    """Return the map value that a new request gets, or None unless the response is complete with status 200."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as channel:
        channel.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while chunk := channel.recv(4096):
            answer += chunk
        return answer.partition(b"\r\n\r\n")[2].decode() if answer.startswith(b"HTTP/1.1 200") else None
    return None


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Proxy]:
    """Run an HAProxy for the duration of a with block."""
    proxy = Proxy(folder)
    try:
        proxy.start()
        yield proxy
    finally:
        proxy.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
