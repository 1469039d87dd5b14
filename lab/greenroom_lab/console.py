"""What the person at the terminal sees, and the programs that run meanwhile."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from . import paths

TICK = 5.0
"""Seconds after which a step that still runs says so."""

LEASH = ["setpriv", "--pdeathsig", "TERM", "--"]
"""What runs a program that must not outlive this one: a build that nobody waits for would disturb the next."""

WRAPPERS = {"nsenter", "env", "--"}
"""Words of a command line that are not the program a reader cares for."""

TAIL = 15
"""Lines of a failed program's output that are shown."""


class LabError(Exception):
    """Something stops the lab. The message is one line: what, and what to do next."""


def say(message: str) -> None:
    """Print one line at once."""
    print(message, flush=True)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Name what is going on, repeat it while it lasts, and tell how long it took when that was noticeable."""
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
    """Do `action`, and return the exit code: what stops the lab is one line on standard error."""
    try:
        action()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; run the same command again, it goes on from there.", file=sys.stderr)
        return 130
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

    `log` names a file under .lab/log/ that gets the output of long work, which is stopped when this program dies.
    `env` is added to the own environment. `finish` lets the program end in peace when this one is killed.
    Raises LabError with the end of the output when the program fails and `check` is set; `hint` says what to do then.
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
        raise LabError(f"{words[0]} is not installed. Run `make lab`, which installs what is missing.") from None
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
