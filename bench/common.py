# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Shared code of the benchmarks: runs commands, counts SSH processes and tasks, writes tables."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import platform
import re
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import tasks
from bench.tasks import Task

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenroom"
"""The lab's cache of build results."""
ENVIRONMENT = "staging"
CLIENT_SECONDS = 1200
"""How long a client of a benchmark may run."""
BOUND: list[socket.socket] = []
"""Sockets that reserve ports; see `free_port`."""
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)
COUNTER = """\
#!/bin/sh
# Logs the address that this ssh or sftp connects to, then runs the real program.
for word in "$@"; do
  case $word in
    198.18.* | *@198.18.* | \\[198.18.* | *@\\[198.18.*) echo "$word" >> "$GREENROOM_SSH_LOG"; break ;;
  esac
done
exec /usr/bin/${0##*/} "$@"
"""


def answer(command: Sequence[str], settings: Mapping[str, Any], failed: str) -> Any:
    """Run a client that reads its settings and prints its answer, both JSON; end with `failed` if it fails."""
    done = subprocess.run(
        command, input=json.dumps(settings), check=False, capture_output=True, text=True, timeout=CLIENT_SECONDS
    )
    if done.returncode:
        sys.exit(f"{failed}:\n{done.stderr}")
    return json.loads(done.stdout)


def free_port() -> int:
    """Return a TCP port without a listener, and keep the kernel from assigning it while this process lives.

    The port is bound. A server can still listen on it, because servers bind with SO_REUSEADDR.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    BOUND.append(bound)
    return int(bound.getsockname()[1])


@dataclass
class Run:
    """One finished command: its wall-clock seconds, its output, and its ssh and sftp processes, by address."""

    seconds: float
    output: str
    ssh: collections.Counter[str] = field(default_factory=collections.Counter)
    tasks: list[Task] = field(default_factory=list)
    """Ansible's tasks, in order, including those that all hosts skipped."""

    @property
    def changed(self) -> int:
        """Changed tasks of all plays and hosts, as Ansible counts them. Exits if the output has no recap."""
        if self.tasks:
            return sum(task.results["changed"] for task in self.tasks)
        found = [int(match[3]) for match in RECAP.finditer(self.output)]
        if not found:
            sys.exit(f"No recap in the output:\n{self.output}")
        return sum(found)


def run(
    command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path = ROOT, timeout: float = 1800
) -> Run:
    """Run a command with fresh SSH connections, and count them. Exits if the command fails.

    Raises subprocess.TimeoutExpired if it takes longer than `timeout` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="gr-") as name:
        folder = Path(name)
        log = folder / "log"
        log.touch()
        for program in ("ssh", "sftp"):
            (folder / program).write_text(COUNTER)
            (folder / program).chmod(0o755)
        noted = folder / "tasks"
        started = time.monotonic()
        done = subprocess.run(
            command,
            cwd=cwd,
            env={
                **os.environ,
                **tasks.noted_in(noted),
                "ANSIBLE_SSH_EXECUTABLE": str(folder / "ssh"),
                "ANSIBLE_SFTP_EXECUTABLE": str(folder / "sftp"),
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
                "GREENROOM_SSH_LOG": str(log),
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
        )
        seconds = time.monotonic() - started
        found = tasks.read(noted, started)
        addresses = [line.rpartition("@")[2].strip("[]") for line in log.read_text().split()]
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")
    return Run(seconds, done.stdout, collections.Counter(addresses), found)


def playbook(
    path: str | Path, *arguments: str, environment: Mapping[str, str] | None = None, project: Path = ROOT
) -> Run:
    """Run a playbook on the environment, with this project's ansible.cfg or that of another checkout."""
    command = ["ansible-playbook", "-i", f"inventories/{ENVIRONMENT}", str(path), *arguments]
    return run(command, {"ANSIBLE_CONFIG": str(project / "ansible.cfg"), **(environment or {})}, cwd=project)


def descendants(process: int) -> list[int]:
    """Return the process IDs of all descendants of a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    found, todo = [], [process]
    while todo:
        found += (new := children.get(todo.pop(), []))
        todo += new
    return found


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"  {text}", flush=True)


def machine() -> str:
    """Describe this machine: processor cores, memory, architecture, kernel and Python.

    A Python that was built without profile-guided optimization needs about half as much time again.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    optimized = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    python = f"Python {platform.python_version()}{'' if optimized else ' built without optimizations'}"
    system = f"{platform.machine()}, Linux {platform.release().split('-')[0]}, {python}"
    return f"{os.cpu_count()} cores and {memory:.0f} GB of memory ({system})"


def seconds_list(values: Iterable[float]) -> str:
    """Format seconds for a cell of a table."""
    return ", ".join(f"{value:.1f}" for value in values)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(_lines(head, rows))


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def verdict(met: bool) -> str:
    """Format for a table whether a goal was met."""
    return "met" if met else "**missed**"
