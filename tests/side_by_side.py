# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs two commands in parallel: python tests/side_by_side.py COMMAND ... -- COMMAND ...

The first command has a lower priority. Its output is printed as one block when it ends. The output of the second
command is printed immediately. The exit code is that of the second command or, if that is 0, of the first. SIGINT,
SIGTERM and SIGHUP end both.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO

NICE = 10
# Seconds between progress lines while only the first command still runs.
EVERY = 30


class Screen:
    """Output with one writer at a time, which can start its text on a new line."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out = out
        self.lock = threading.Lock()
        self.line_begins = True

    def write(self, content: bytes, own_line: bool = False) -> None:
        """Write content without interruption by other writers."""
        with self.lock:
            if own_line and not self.line_begins:
                content = b"\n" + content
            self.out.write(content)
            self.out.flush()
            self.line_begins = content.endswith(b"\n")

    def say(self, line: str) -> None:
        """Write a separate line."""
        self.write(f"{line}\n".encode(), own_line=True)


class Pair:
    """The two commands. Each has its own process group, so it gets a terminal's interrupt only once, from here."""

    def __init__(self, screen: Screen, kept: Path) -> None:
        self.screen = screen
        self.began = time.monotonic()
        self.kept = kept
        self.started: list[subprocess.Popen[bytes]] = []
        self.stopped = 0

    def _start(self, command: list[str], out: IO[bytes] | int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, process_group=0
        )
        self.started.append(process)
        # The interrupt came before this command was started.
        if self.stopped:
            self._signal(process, signal.SIGINT)
        return process

    def _signal(self, process: subprocess.Popen[bytes], number: int) -> None:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def end(self, number: int, _frame: FrameType | None) -> None:
        """Interrupt both commands; kill them at the second signal."""
        how = signal.SIGKILL if self.stopped else signal.SIGINT
        self.stopped = 128 + number
        for process in self.started:
            self._signal(process, how)

    def show_first(self) -> None:
        """Wait for the first command, and print its output."""
        self.first.wait()
        seconds = time.monotonic() - self.began
        self.screen.say(f"--- the first command has ended, after {seconds:.0f} s:")
        self.screen.write(self.kept.read_bytes())
        self.screen.say("---")

    def show_second(self) -> None:
        """Print the second command's output immediately."""
        assert self.second.stdout is not None
        while content := os.read(self.second.stdout.fileno(), 65536):
            self.screen.write(content)

    def start(self, first: list[str], second: list[str]) -> None:
        """Start both commands."""
        with self.kept.open("wb") as file:
            self.first = self._start(["nice", "-n", str(NICE), *first], file)
        self.second = self._start(second, subprocess.PIPE)

    def wait(self) -> int:
        """Wait for both commands; return the exit code."""
        first, second = (threading.Thread(target=show, daemon=True) for show in (self.show_first, self.show_second))
        first.start()
        second.start()
        while self.second.poll() is None:
            second.join(1)
        # Another process may keep its output open.
        second.join(10)
        while first.is_alive():
            first.join(EVERY)
            if first.is_alive():
                progress = re.findall(rb"\[ *(\d+%)\]", self.kept.read_bytes()) or [b"started"]
                seconds = time.monotonic() - self.began
                self.screen.say(f"    waiting for the first command: {progress[-1].decode()}, after {seconds:.0f} s")
        return self.stopped or self.second.returncode or self.first.returncode


def main(words: list[str]) -> int:
    """Run the command line."""
    if words.count("--") != 1 or words[0] == "--" or words[-1] == "--":
        print(__doc__, file=sys.stderr)
        return 2
    middle = words.index("--")
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(Screen(sys.stdout.buffer), Path(folder) / "output")
        # Install the handlers before starting the commands, so that no command is left behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, pair.end)
        pair.start(words[:middle], words[middle + 1 :])
        return pair.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
