"""Output on the terminal, and running programs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from . import paths

TICK = 5.0
"""Seconds between the progress lines of a step."""

LEASH = ["setpriv", "--pdeathsig", "TERM", "--"]
"""Ends a long-running program when this one dies: an orphaned build would disturb the next one."""

WRAPPERS = {"nsenter", "env", "--"}
"""Words of a command line to skip when an error message names the program."""

TAIL = 15
"""Lines of a failed program's output to print."""


class LabError(Exception):
    """A lab command can't continue. The message is one line: what is wrong, and what to do next."""


def say(message: str) -> None:
    """Print one line without buffering."""
    print(message, flush=True)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Print the title of a step, progress lines while it lasts, and its duration if that is a second or more."""
    say(f"lab: {title}")
    started = time.monotonic()
    done = threading.Event()

    def tick() -> None:
        while not done.wait(TICK):
            say(f"lab:   ... {title}, {time.monotonic() - started:.0f} s")

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
    took = time.monotonic() - started
    if took >= 1:
        say(f"lab:   done in {took:.1f} s")


def guarded(action: Callable[[], None]) -> int:
    """Run `action`, print a LabError as one line on standard error, and return the exit code."""
    try:
        action()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; run the same command again to continue.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The program that reads the output has ended, as `head` does. Python must not write the rest when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return 0


def run(
    command: Sequence[str | Path],
    *,
    log: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    check: bool = True,
    hint: str = "",
    finish: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program, and return it with its output.

    `log` names a file under .lab/log/ for the output of a long-running program, which ends when this process dies.
    `env` is added to this process's environment. With `finish`, the program may end by itself when this one is killed.
    If the program fails and `check` is set, prints the end of its output and raises LabError; `hint` says what to do.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words if log is None else [*LEASH, *words],
            env={**os.environ, **env} if env else None,
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if log is None else subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            start_new_session=finish,
        )
    except FileNotFoundError:
        raise LabError(f"{words[0]} is not installed. Run `make lab`, which installs missing packages.") from None
    if log is not None:
        folder = paths.private_folder(paths.STATE / "log")
        paths.write(folder / f"{log}.log", done.stdout)
    if check and done.returncode != 0:
        output = (done.stdout or "") + (done.stderr or "")
        print("\n".join(output.rstrip().splitlines()[-TAIL:]), file=sys.stderr)
        name = next((word for word in words if "=" not in word and word not in WRAPPERS), words[0])
        what = f"{Path(name).name} failed with exit code {done.returncode} (its output is above)."
        raise LabError(f"{what} {hint}".rstrip())
    return done
