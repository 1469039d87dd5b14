# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A child process of a run on the controller. It holds the environment's lock over one connection, for the whole run.

This is a separate program (`python holder.py`, with its order as one JSON line on standard input), so that it doesn't
load Ansible. It ends with the run's main process. If that ends normally, failed or not, the holder writes the run's
result into the history on the lock's host, and releases the lock. After a crash, the lock isn't renewed, and expires.
Other tasks of the same run reach the holder over an abstract socket, which leaves no file behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

Event = dict[str, Any]
MARK = b"GREENROOM "
# Runs on the lock's host. Standard input has the program, sometimes after a password that sudo didn't read.
BOOTSTRAP = (
    "import json\n"
    "s=open(0,'rb',0)\n"
    "for l in iter(s.readline,b''):\n"
    " if l.startswith(b'GREENROOM '):\n"
    "  o=json.loads(l[10:]);g={'__name__':'lock'};exec(o['code'],g);g['main'](s,o);break\n"
)


def start_time(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot), to tell it from a later process with the same ID."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(stat.rsplit(")", 1)[1].split()[19])


def socket_name(environment: str, pid: int, started: int) -> bytes:
    """Return the abstract socket address of the holder of process `pid`'s lock on `environment`."""
    return f"\0greenroom-lock/{os.getuid()}/{environment}/{pid}/{started}".encode()


def words(event: Event, environment: str) -> str:
    """Return an event as one line for the operator."""
    holder = event.get("holder") or event.get("took_over")
    who = described(holder or {})
    match event["event"]:
        case "waiting":
            line = f"is locked by {who}; if that run has crashed, the lock expires in {event['seconds']:.0f} s"
        case "refused" if event.get("waits"):
            line = f"is locked by {who}, which {waiting(event['waits'])}"
        case "refused":
            line = f"is locked by {who}, which is still running; wait until it ends"
        case "lost" if holder:
            line = f"is now locked by {who}, because this run did not renew its lock in time"
        case "lost":
            line = "is no longer locked by this run: it did not renew its lock in time, and another run may have had it"
        case "held" if holder:
            line = f"is locked by this run, after {who}, which ended without releasing the lock"
        case "held":
            line = "is locked by this run"
        case "failed":
            line = f"can't be locked: {event['message']}"
        case _:
            line = f"can't be locked: can't reach the lock's host: {event['message'] or event['code']}"
    return f"{environment} {line}"


def described(holder: Event) -> str:
    """Return which run a lock's holder is: whose, where, and since when."""
    return "{user}@{host} (process {pid}, {playbook}, since {since})".format_map(_Unknown(holder))


def waiting(pause: Event) -> str:
    """Return what a run with this pause, {slot, until, ...}, waits for, and what an operator can do."""
    return (
        f"waits for an operator until {pause['until']}: playbooks/promote.yml gives {pause['slot']} more traffic, "
        "playbooks/abort.yml ends it"
    )


class _Unknown(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "unknown"


class Link:
    """The connection: a command that runs BOOTSTRAP on the lock's host, and gets the order on standard input."""

    def __init__(self, command: list[str], order: Event, password: str | None) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        self.commands = cast(IO[bytes], self.process.stdin)
        self.answers = cast(IO[bytes], self.process.stdout)
        self.complaints = cast(IO[bytes], self.process.stderr)
        os.set_blocking(self.answers.fileno(), False)
        os.set_blocking(self.complaints.fileno(), False)
        self.pending = b""
        self.errors = b""
        self.send((f"{password}\n" if password else "").encode() + MARK + json.dumps(order).encode() + b"\n")

    def send(self, data: bytes) -> None:
        """Send data to the host; `events` reports a closed connection."""
        with contextlib.suppress(OSError):
            self.commands.write(data)
            self.commands.flush()

    def events(self) -> list[Event] | None:
        """Return the host's events since the last call; None if the connection has ended."""
        self.errors = (self.errors + (self.complaints.read() or b""))[-4000:]
        data = self.answers.read()
        if data == b"":
            return None
        self.pending += data or b""
        *lines, self.pending = self.pending.split(b"\n")
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def close(self, seconds: float) -> str:
        """End the connection, after `seconds` by force.

        Return the last line of its error output, without ssh's debug lines.
        """
        with contextlib.suppress(OSError):
            self.commands.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors += self.complaints.read() or b""
        self.answers.close()
        self.complaints.close()
        lines = [line.strip() for line in self.errors.decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line and not line.startswith("debug")), "")


class Holder:
    """Holds one lock while process `pid` runs."""

    def __init__(self, order: Event, report: Callable[[Event], None]) -> None:
        self.order, self.report = order, report
        self.seconds: dict[str, float] = order["seconds"]
        self.state: Event = {"event": "starting"}
        self.link: Link | None = None
        self.renewed = time.monotonic()
        # Until the task that releases the lock, or the callback `run_record`, tells it.
        self.result: Event = {"result": "unknown"}

    def run(self) -> None:
        """Acquire the lock and hold it until the main process ends, or the lock is released or lost."""
        main = os.pidfd_open(self.order["pid"])
        if start_time(self.order["pid"]) != self.order["started"]:
            return
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(socket_name(self.order["environment"], self.order["pid"], self.order["started"]))
        server.listen()
        while self._connected(main, server):
            # The network or the host failed. When it is back, this run may still have the lock.
            time.sleep(self.seconds["reconnect"])

    def _connected(self, main: int, server: socket.socket) -> bool:
        """Serve one connection. Return whether to connect again."""
        remote = {**self.order["remote"], "again": self.state["event"] == "held"}
        self.link = Link(self.order["command"], remote, self.order.get("password"))
        selector = selectors.DefaultSelector()
        for source in (main, server, self.link.answers):
            selector.register(source, selectors.EVENT_READ)
        try:
            while True:
                ready = {key.fileobj for key, _ in selector.select(self.seconds["renew"])}
                if not ready or time.monotonic() > self.renewed + self.seconds["renew"]:
                    self.renewed = time.monotonic()
                    self.link.send(b"renew\n")
                if main in ready:
                    if self._ended_orderly():
                        self._release()
                    return False
                if self.link.answers in ready and (verdict := self._heard()) is not None:
                    return verdict
                if server in ready and self._asked(server):
                    return False
        finally:
            selector.close()
            words = self.link.close(self.seconds["reconnect"])
            if self.state["event"] == "starting":
                self._tell({"event": "unreachable", "message": words, "code": self.link.process.returncode})

    def _ended_orderly(self) -> bool:
        """Whether the main process has cleaned up: a crash leaves its scratch folder, and maybe unfinished work."""
        scratch = self.order.get("scratch")
        return scratch is not None and not os.path.exists(scratch)

    def _release(self) -> None:
        """Write the run's result into the history, and release the lock."""
        if self.link is not None:
            self.link.send(b"ended " + json.dumps(self.result).encode() + b"\nrelease\n")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.link.process.wait(self.seconds["timeout"])

    def _heard(self) -> bool | None:
        """Handle the host's events. Return None to continue, else whether to connect again."""
        events = self.link.events() if self.link else None
        if events is None:
            return bool(self.state["event"] == "held")
        for event in events:
            self._tell(event)
            if event["event"] in {"failed", "refused", "lost", "released"}:
                return False
        return None

    def _tell(self, event: Event) -> None:
        if event["event"] == "held" and self.state["event"] == "held":
            return
        without = event["event"] == "lost" or (event["event"] == "failed" and self.state["event"] == "held")
        if event["event"] != "waiting":
            self.state = event
        self.report(event)
        if without:
            self._stop_the_run(words(event, self.order["environment"]))

    def _stop_the_run(self, line: str) -> None:
        """Stop this run, which lost its lock: it paused for too long (a laptop that slept), and another run may run."""
        pid = self.order["pid"]
        with contextlib.suppress(OSError):
            error_output = os.open(f"/proc/{pid}/fd/2", os.O_WRONLY | os.O_APPEND)
            os.write(error_output, f"\n[ERROR]: {line}; this run stops\n".encode())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    def _asked(self, server: socket.socket) -> bool:
        """Answer a request from a task of this run. Return whether the lock was released."""
        connection, _ = server.accept()
        with connection:
            connection.settimeout(self.seconds["timeout"])
            released = False
            with contextlib.suppress(OSError):
                word, _, result = connection.makefile("rb").readline().strip().partition(b" ")
                if result:
                    self.result = json.loads(result)
                if word == b"release" and self.link is not None:
                    released = True
                    self._release()
                    self.state = {"event": "released"}
                connection.sendall(json.dumps(self.state).encode() + b"\n")
        return released


def ask(address: bytes, word: str, timeout: float, result: Event | None = None) -> Event | None:
    """Return the holder's response to `status`, `result` or `release`; None if there is none within `timeout` seconds.

    `result` is the run's result for the history: {result: passed|failed|interrupted|released, ...}.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(address)
            # Any user of this machine may bind such an address. Trust only a process of our own user.
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            if struct.unpack("3i", credentials)[1] != os.getuid():
                return None
            connection.sendall(f"{word} {json.dumps(result) if result else ''}".encode() + b"\n")
            answer: Event = json.loads(connection.makefile("rb").readline())
        except (OSError, ValueError):
            return None
    return answer


def main() -> None:
    """Hold the lock as ordered on standard input; print its events to standard output until it is held."""
    order = json.loads(sys.stdin.buffer.readline())

    def report(event: Event) -> None:
        # The parent stops reading as soon as the lock is held. That must not end this process.
        with contextlib.suppress(OSError):
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()

    Holder(order, report).run()


if __name__ == "__main__":
    main()
