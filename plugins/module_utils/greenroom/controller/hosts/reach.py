# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether a host answers. Each host has a process of its own; they share in a folder how fast the others answer."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

POLL = 0.05
SHORTEST = 1.5
"""How many seconds a host has at least."""
TIMES = 5
"""A host is silent if it takes so many times as long as most others."""


def limit(answered: Sequence[float], asked: int, longest: float) -> float:
    """Return how many seconds a host has for its answer: `longest` at most, less if most others were fast.

    `answered` are the seconds that other hosts took, of `asked` hosts in all. On a bad day, a run must not wait long
    for hosts that are gone. If hosts or the network are busy, all of them are slow.
    """
    if not answered or 2 * len(answered) < asked:
        return longest
    return min(longest, max(SHORTEST, TIMES * statistics.median(answered)))


def silence(command: Sequence[str], host: str, folder: Path, asked: int, longest: float) -> str:
    """Run the command, which connects to the host; return "" if it succeeds in time, or else why not.

    `folder` is the same for all `asked` hosts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    # Not a pipe: a connection that stays open in the background keeps it.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        while process.poll() is None:
            seconds = time.monotonic() - began
            if seconds > limit([float(path.read_text()) for path in folder.glob("*.seconds")], asked, longest):
                process.kill()
                process.wait()
                return f"no answer within {seconds:.1f} s"
            time.sleep(POLL)
        if process.returncode:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            return lines[-1] if lines else f"exit code {process.returncode}"
    # Complete at once: others read it.
    part = folder / f"{host}.part"
    part.write_text(f"{time.monotonic() - began:.3f}")
    part.rename(folder / f"{host}.seconds")
    return ""
