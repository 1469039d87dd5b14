# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A process that has imported what a program needs, and forks for each run of it (warm_start.py, warm_modules.py)."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
# Python and the C library read these variables at their start.
EARLY_VARIABLES = ("PYTHON", "LC_", "LANG", "TZ", "LD_")
# Makes a fork one run: with a request, as JSON, and its files.
Become = Callable[[dict[str, Any], list[int]], NoReturn]


class Server:
    """The process, as who starts it sees it. `program` is a module that calls `main`; `folder` is for its files."""

    def __init__(self, program: str, folder: Path, *words: str, **variables: str) -> None:
        self.place = f"{folder}/socket"
        self.life, other = socket.socketpair()
        with other, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.place)
            listener.listen()
            numbers = [other.fileno(), listener.fileno()]
            self.process = subprocess.Popen(
                [sys.executable, "-m", program, *map(str, numbers), str(folder), *words],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=numbers,
                env={**os.environ, **variables},
            )

    def close(self) -> None:
        """End the process."""
        self.life.close()
        self.process.wait()


def early(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have their effect when a program starts."""
    return {name: value for name, value in environment.items() if name.startswith(EARLY_VARIABLES)}


def adopt(request: Mapping[str, Any], files: Sequence[int], first: int) -> None:
    """Take over a request's folder and environment, and its files as those with the numbers from `first` on."""
    for target, file in enumerate(files, first):
        os.dup2(file, target)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _answer(become: Become, channel: socket.socket) -> NoReturn:
    """Start one run, and say how it ended."""
    head, files, _flags, _address = socket.recv_fds(channel, 8, 3)
    request = json.loads(channel.recv(int.from_bytes(head), socket.MSG_WAITALL))
    number = os.fork()
    if not number:
        channel.close()
        become(request, files)
    channel.sendall(f"{number}\n".encode())
    _number, status, used = os.wait4(number, 0)
    # Who asked may have ended.
    with contextlib.suppress(BrokenPipeError):
        channel.sendall(f"{os.waitstatus_to_exitcode(status)} {used.ru_utime + used.ru_stime:.2f}\n".encode())
    os._exit(0)


def main(words: Sequence[str], prepare: Callable[[Path], Become], end: Callable[[], None] = lambda: None) -> None:
    """Fork for each request, until the process that started this one has ended. Then `end` is called."""
    life, listener = (socket.socket(fileno=int(word)) for word in words[:2])
    # An interrupt ends the tests, and so this process, without a message.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    become = prepare(Path(words[2]))
    gc.collect()
    # The collector of a fork would copy all memory.
    gc.freeze()
    running: set[int] = set()
    while life not in select.select([life, listener], [], [])[0]:
        running -= {number for number in running if os.waitpid(number, os.WNOHANG)[0]}
        channel, _address = listener.accept()
        number = os.fork()
        if not number:
            _answer(become, channel)
        running.add(number)
        channel.close()
    for number in running:
        os.waitpid(number, 0)
    end()
