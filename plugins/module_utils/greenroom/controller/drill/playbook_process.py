# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A playbook that a drill runs in the background, and its record.

This is also a program (`python playbook_process.py`, with its order as one JSON line on standard input). It outlives
the task that started it, writes the playbook's output to a file, and keeps a record beside it, which it replaces
atomically: {name, arguments, pid, began, ended, code, phases: [{at, what}], said}. Times are seconds since the epoch;
`ended` and `code` are null while the playbook runs, a negative `code` is the signal that killed it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

Record = dict[str, Any]
PLAY = re.compile(r"PLAY \[(.*)\] \*")
ERROR = re.compile(r"^\[ERROR\]: (.*?)\n(?:Origin: |\n|fatal: )", re.M | re.S)
SAID_CHARACTERS = 400
POLL = 0.1
OUTPUT_SECONDS = 10.0
"""How long to wait for the last output after the playbook's end, for example on a busy machine."""


def record_of(folder: Path, name: str) -> Path:
    """Return the path of the record of the playbook run `name`."""
    return folder / f"{name}.json"


def read(folder: Path, name: str) -> Record | None:
    """Return the record, None if there is none yet."""
    try:
        found: Record = json.loads(record_of(folder, name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


def start(folder: Path, name: str, command: list[str], arguments: list[str], **order: Any) -> Record:
    """Start a playbook and return its record. `order` has cwd, env and limit (seconds, after which it is killed)."""
    folder.mkdir(parents=True, exist_ok=True)
    record_of(folder, name).unlink(missing_ok=True)
    child = subprocess.Popen(
        [sys.executable, "-I", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    order |= {"folder": str(folder), "name": name, "command": command, "arguments": arguments}
    with cast(IO[bytes], child.stdin) as orders:
        orders.write(json.dumps(order).encode() + b"\n")
    while (record := read(folder, name)) is None:
        if child.poll() is not None:
            raise OSError(f"can't start {' '.join(command)}")
        time.sleep(POLL)
    return record


def wait(folder: Path, name: str, timeout: float) -> Record | None:
    """Return the record of a playbook that has ended; None if it is still running after `timeout` seconds."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        record = read(folder, name)
        if record is not None and record["ended"] is not None:
            return record
        time.sleep(POLL)
    return None


def kill(pid: int) -> None:
    """Kill a process and all of its descendants at once, like a crash of the machine.

    Ansible's workers have their own sessions, so a signal to the process group doesn't reach them.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        for process in [pid, *_descendants(pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def said(output: str) -> str:
    """Return the first error in a playbook's output, on one line and without its position in the playbook."""
    found = ERROR.search(output)
    words = " ".join(found[1].split()) if found else ""
    words = re.sub(r"^(Task failed: )?((Action|Module) failed: )?", "", words)
    return words if len(words) <= SAID_CHARACTERS else f"{words[: SAID_CHARACTERS - 1]}…"


def _descendants(pid: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    todo = [pid]
    while todo:
        found = children.get(todo.pop(), [])
        yield from found
        todo += found


class _Child:
    """A running playbook and its record."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.folder = Path(order["folder"])
        self.log = self.folder / f"{order['name']}.log"
        self.record: Record = {
            "name": order["name"],
            "arguments": order["arguments"],
            "pid": 0,
            "began": time.time(),
            "ended": None,
            "code": None,
            "phases": [],
            "said": "",
        }

    def keep(self) -> None:
        place = record_of(self.folder, self.order["name"])
        new = place.with_suffix(".new")
        new.write_text(json.dumps(self.record), encoding="utf-8")
        new.replace(place)

    def listen(self, output: IO[str]) -> None:
        """Write the output to the log, and record when each play begins."""
        with self.log.open("w", encoding="utf-8") as log:
            for line in output:
                log.write(line)
                log.flush()
                if found := PLAY.match(line):
                    self.record["phases"].append({"at": time.time(), "what": found[1]})
                    self.keep()

    def run(self) -> None:
        process = subprocess.Popen(
            self.order["command"],
            cwd=self.order["cwd"],
            env=self.order["env"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.record["pid"] = process.pid
        self.keep()
        listener = threading.Thread(target=self.listen, args=(process.stdout,), daemon=True)
        listener.start()
        try:
            process.wait(self.order["limit"])
        except subprocess.TimeoutExpired:
            kill(process.pid)
            process.wait()
        ended = time.time()
        # A connection that outlives the playbook may keep its output open.
        listener.join(OUTPUT_SECONDS)
        self.record |= {"ended": ended, "code": process.returncode}
        self.record["said"] = said(self.log.read_text(encoding="utf-8") + "\n\n") if process.returncode else ""
        self.keep()


if __name__ == "__main__":
    _Child(json.loads(sys.stdin.readline())).run()
