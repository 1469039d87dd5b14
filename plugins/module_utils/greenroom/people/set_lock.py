# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One run at a time works on a set."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from .ledger import LedgerError

TIMEOUT = 45.0
"""Seconds that a run waits for another one. Requests of a killed run end sooner than that."""
LEASE = 10.0
"""Seconds for which a run keeps its lock between two calls."""


class BusyError(LedgerError):
    """Another run is working on the set."""


@contextlib.contextmanager
def alone(path: str, token: str, holder: str) -> Iterator[Callable[[], None]]:
    """Lock out other runs during the block, and for LEASE seconds after it unless the run has ended.

    Yields the function to call when the run has ended. Raises BusyError if another run doesn't end in time.
    """
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from error
    with os.fdopen(handle, "r+") as file:
        _enter(file, token)
        # While this process lives, the lock on the file is enough.
        note = {"token": token, "holder": holder, "pid": os.getpid(), "until": 0.0}
        _write(file, note)
        over = False

        def end() -> None:
            nonlocal over
            over = True

        try:
            yield end
        except BaseException:
            over = True
            raise
        finally:
            _write(file, {} if over else {**note, "until": time.time() + LEASE})


def _enter(file: Any, token: str) -> None:
    until = time.monotonic() + TIMEOUT
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            note = _read(file)
            if not note or note.get("token") == token or float(note.get("until") or 0) < time.time():
                return
            fcntl.flock(file, fcntl.LOCK_UN)
        except BlockingIOError:
            note = _read(file)
        if time.monotonic() >= until:
            holder = note.get("holder") or "unknown"
            here = f"process {note.get('pid')} on this host"
            raise BusyError(f"another run is working on these users: {holder} ({here}); wait until it ends")
        time.sleep(0.2)


def _read(file: Any) -> dict[str, Any]:
    file.seek(0)
    try:
        found = json.loads(file.read())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: Any, note: dict[str, Any]) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps(note) + "\n")
    file.flush()
