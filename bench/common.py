# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the measuring programs share: running commands, counting ssh processes and tasks, writing tables."""

from __future__ import annotations

import collections
import contextlib
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import tasks
from bench.tasks import Task

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenroom"
"""What takes long to make, as the lab keeps it."""
ENVIRONMENT = "staging"
BOUND: list[socket.socket] = []
"""What keeps ports free; see `free_port`."""
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)
COUNTER = """\
#!/bin/sh
# Notes the address that this ssh or sftp goes to, then becomes it.
for word in "$@"; do
  case $word in
    198.18.* | *@198.18.* | \\[198.18.* | *@\\[198.18.*) echo "$word" >> "$GREENROOM_SSH_LOG"; break ;;
  esac
done
exec /usr/bin/${0##*/} "$@"
"""


def free_port() -> int:
    """Return a TCP port that nobody listens on, and that nobody is given by chance while this process lives.

    It is bound; who asks for it by its number can listen there all the same, as servers bind with SO_REUSEADDR.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    BOUND.append(bound)
    return int(bound.getsockname()[1])


@dataclass
class Run:
    """One finished command: its wall-clock seconds, its output, and the ssh and sftp processes it took, by address."""

    seconds: float
    output: str
    ssh: collections.Counter[str] = field(default_factory=collections.Counter)
    tasks: list[Task] = field(default_factory=list)
    """Ansible's tasks, in order, those that all hosts skipped included."""

    @property
    def changed(self) -> int:
        """Changed tasks of all plays and hosts, as Ansible counts them; ends the program when nothing says how many."""
        if self.tasks:
            return sum(task.results["changed"] for task in self.tasks)
        found = [int(match[3]) for match in RECAP.finditer(self.output)]
        if not found:
            sys.exit(f"No recap in the output:\n{self.output}")
        return sum(found)


def run(
    command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path = ROOT, timeout: float = 1800
) -> Run:
    """Run a command to its end, with fresh ssh connections that are counted; end the program if it fails.

    Raises subprocess.TimeoutExpired when it takes longer than `timeout` seconds.
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
    """Run a playbook on the environment with the project's own settings, or with those of another checkout of it."""
    command = ["ansible-playbook", "-i", f"inventories/{ENVIRONMENT}", str(path), *arguments]
    return run(command, {"ANSIBLE_CONFIG": str(project / "ansible.cfg"), **(environment or {})}, cwd=project)


def descendants(process: int) -> list[int]:
    """Return the process ids of children, their children and so on."""
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
    """Say what the numbers were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    system = f"{platform.machine()}, Linux {platform.release().split('-')[0]}"
    return f"{os.cpu_count()} cores and {memory:.0f} GB of memory ({system})"


def seconds_list(values: Iterable[float]) -> str:
    """Join seconds for a cell of a table."""
    return ", ".join(f"{value:.1f}" for value in values)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(_lines(head, rows))


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def verdict(met: bool) -> str:
    """Say in a table whether an aim was met."""
    return "met" if met else "**missed**"
