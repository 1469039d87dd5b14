# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Put a state in effect on one edge host: write it to disk, then set it in every HAProxy worker and read it back.

The state file is authoritative. The map file is made from it; HAProxy reads the map when it starts or reloads. Running
workers hold the map in memory. An interrupted switch has changed only the first of these three. Repeating it, or
making any later switch, repairs the rest. `report` describes all of this.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..common import durable
from . import haproxy, steps, takeover
from .bluegreen import State, SwitchError, check_site
from .clock import Clock

ROUNDS = 5
"""How often to list the workers and set their value: a reload may start new workers in between."""

BUSY = "another switch is in progress on this host; check the status, then try again"

_PATH = re.compile(r"/[A-Za-z0-9._/-]+\Z")


@dataclass(frozen=True)
class Places:
    """Where a site's state is stored; `seconds` limits each request to a socket and the wait for another switch.

    The watchdog notes in `peers_file` what it has heard from peers (empty: nowhere).
    """

    site: str
    state_file: str
    map_file: str
    runtime_socket: str
    master_socket: str
    seconds: float = 5.0
    peers_file: str = ""

    def __post_init__(self) -> None:
        """Raise SwitchError for names that would break a map line or a command to HAProxy."""
        try:
            check_site(self.site)
        except ValueError as error:
            raise SwitchError(str(error)) from error
        if not _PATH.match(self.map_file):
            raise SwitchError(
                "map_file must be an absolute path with only letters, digits, dots, dashes and underscores, "
                f"not {self.map_file}"
            )


@dataclass(frozen=True)
class Seen:
    """The state on disk and in each worker (`value` None: the worker has no entry, or a `problem`)."""

    state: State | None
    damage: str
    map_value: str | None
    map_present: bool
    workers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def lost(self) -> bool:
        """Whether there is no usable state although a worker, the map or a damaged state file knows the site."""
        return self.state is None and bool(self.damage or self.traces)

    @property
    def traces(self) -> list[str]:
        """The values of the workers (newest first) and of the map file, the most reliable first."""
        values = [worker["value"] for worker in self.workers] + [self.map_value]
        return [value for value in values if value is not None]


def look(places: Places, workers: bool = True) -> Seen:
    """Read the disk and the workers; changes nothing. Raises SwitchError if the state file belongs to another site."""
    state, damage = _read_state(places)
    value, present = _read_map(places)
    return Seen(state, damage, value, present, _ask_workers(places) if workers else [])


def _read_state(places: Places) -> tuple[State | None, str]:
    """Return the state on disk, or None; and what is wrong with a damaged state file, or an empty string."""
    try:
        with open(places.state_file, encoding="utf-8") as file:
            state = State.from_json(file.read())
    except FileNotFoundError:
        return None, ""
    except (ValueError, TypeError, AttributeError) as error:
        return None, f"{places.state_file} is damaged: {error}"
    except OSError as error:
        raise SwitchError(f"{places.state_file}: {error.strerror}") from error
    if state.site != places.site:
        raise SwitchError(f"{places.state_file} belongs to site '{state.site}', not to '{places.site}'")
    return state, ""


def _read_map(places: Places) -> tuple[str | None, bool]:
    """Return the site's value in the map file, and whether there is a map file."""
    try:
        with open(places.map_file, encoding="utf-8") as file:
            entries = dict(line.split(maxsplit=1) for line in file.read().splitlines() if len(line.split()) > 1)
    except FileNotFoundError:
        return None, False
    except (OSError, UnicodeDecodeError) as error:
        raise SwitchError(f"{places.map_file}: {error}") from error
    value = entries.get(places.site)
    return (None if value is None else value.strip()), True


def _ask_workers(places: Places) -> list[dict[str, Any]]:
    """Read the value that each worker has in memory; a worker that doesn't answer has a `problem`."""
    answers: list[dict[str, Any]] = []
    try:
        for worker in haproxy.workers(places.runtime_socket, places.master_socket, places.seconds):
            answer: dict[str, Any] = {"name": worker.name, "old": worker.old, "value": None, "problem": ""}
            try:
                answer["value"] = haproxy.read(worker, places.map_file, places.site, places.seconds)
            except haproxy.NobodyThereError:
                continue
            except haproxy.SocketError as error:
                answer["problem"] = str(error)
            answers.append(answer)
    except haproxy.SocketError as error:
        answers.append({"name": "master", "old": False, "value": None, "problem": str(error)})
    return answers


def caught_up(seen: Seen, found: State | None, clock: Clock) -> State | None:
    """Return the state on disk, or the state `found` elsewhere if that is newer; None if there is neither."""
    if found is None:
        return seen.state
    if seen.state is None and found.epoch < steps.highest_trace(seen.traces):
        # The state was lost, and HAProxy here serves a newer epoch than the peers know. An operator must decide.
        return None
    return takeover.adopt(seen.state, found, clock)


def apply(places: Places, seen: Seen, wanted: State, unsaved: bool = False) -> list[str]:
    """Put `wanted` in effect: state file, map file, workers. Returns what it changed, raises SwitchError.

    The caller holds the lock. After an interruption at any point, the next call does the rest. If the state file can't
    be written, HAProxy isn't changed, unless `unsaved` says that it must not wait for the disk. If only the map file
    can't be written, the workers get the state all the same, because the state file is authoritative.
    """
    changed, failures = _save(places, seen, wanted, unsaved)
    if "state" in failures and not unsaved:
        raise SwitchError(f"{failures['state']}; HAProxy was not changed")
    for name in _tell_workers(places, seen, wanted):
        if (what := f"worker {name}") not in changed:
            changed.append(what)
    if failures:
        raise SwitchError(
            f"{'; '.join(failures.values())}; HAProxy follows {wanted.value}, but may not after a restart: "
            "free some space, or repair the file system; the watchdog then writes the files"
        )
    return changed


def settle(places: Places, seen: Seen, wanted: State) -> list[str]:
    """Write `wanted` to disk, for HAProxy's next start. Returns what it changed, raises SwitchError."""
    changed, failures = _save(places, seen, wanted)
    if failures:
        raise SwitchError("; ".join(failures.values()))
    return changed


def _save(places: Places, seen: Seen, wanted: State, unsaved: bool = False) -> tuple[list[str], dict[str, str]]:
    """Write the state file, then the map file; return what changed, and errors by what failed, `state` or `map`.

    Only the state file is flushed to disk: each start or reload of HAProxy makes the map from it again. Without the
    state file, the map isn't written either, unless `unsaved`.
    """
    changed: list[str] = []
    failures: dict[str, str] = {}
    if seen.state != wanted:
        try:
            durable.write(places.state_file, wanted.as_json().encode())
            changed.append("state")
        except OSError as error:
            failures["state"] = f"{places.state_file}: {error.strerror}"
    if seen.map_value != wanted.value and (unsaved or not failures):
        try:
            durable.write(places.map_file, _map_with(places, wanted).encode(), forced=False)
            changed.append("map")
        except OSError as error:
            failures["map"] = f"{places.map_file}: {error.strerror}"
    return changed, failures


def _map_with(places: Places, wanted: State) -> str:
    """Return the map file's content with the wanted line for the site; other sites' lines stay."""
    lines = []
    with contextlib.suppress(FileNotFoundError), open(places.map_file, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if line.split(maxsplit=1)[:1] != [places.site]]
    return "\n".join([*lines, f"{places.site} {wanted.value}"]) + "\n"


def _tell_workers(places: Places, seen: Seen, wanted: State) -> Iterator[str]:
    """Set the value in each worker that has another one, until there are no new workers; yields their names.

    The lock keeps other processes from changing a worker, so `seen` is still current.
    """
    known = {worker["name"]: worker["value"] for worker in seen.workers if not worker["problem"]}
    obeying: set[str] = set()
    try:
        for _ in range(ROUNDS):
            told = False
            for worker in haproxy.workers(places.runtime_socket, places.master_socket, places.seconds):
                if worker.name in obeying:
                    continue
                with contextlib.suppress(haproxy.NobodyThereError, haproxy.UnknownMapError):
                    if _tell(worker, places, wanted, known):
                        told = True
                        yield worker.name
                if worker.prefix:
                    # This worker keeps its value. Behind the runtime socket, there may be another worker next time.
                    told = True
                    obeying.add(worker.name)
                else:
                    known.clear()
            if not told:
                return
    except haproxy.SocketError as error:
        raise SwitchError(
            f"on disk, {wanted.live} is live, but HAProxy may not follow it yet: {error}; repeat the call"
        ) from error
    raise SwitchError(
        f"on disk, {wanted.live} is live, but HAProxy restarts its workers faster than they can be set; repeat the call"
    )


def _tell(worker: haproxy.Worker, places: Places, wanted: State, known: dict[str, str | None]) -> bool:
    """Set the value in one worker; returns whether it had another value."""
    if worker.name in known:
        found = known[worker.name]
    else:
        found = haproxy.read(worker, places.map_file, places.site, places.seconds)
    if found == wanted.value:
        return False
    haproxy.put(worker, places.map_file, places.site, wanted.value, places.seconds, found=found)
    return True


class BusyError(SwitchError):
    """Another process holds the lock."""


@contextlib.contextmanager
def locked(places: Places, seconds: float | None = None) -> Iterator[None]:
    """Hold this host's lock for switches, which ends with its process. Raises BusyError if another process holds it.

    Waits for the lock for `seconds`, or by default for `places.seconds`. Raises SwitchError if it can't open the lock.
    """
    path = places.state_file + ".lock"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SwitchError(f"{path}: {error.strerror}") from error
    try:
        give_up = time.monotonic() + (places.seconds if seconds is None else seconds)
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= give_up:
                    raise BusyError(BUSY) from error
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)
