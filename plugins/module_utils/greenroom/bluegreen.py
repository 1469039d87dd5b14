# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which of two slots serves the public: one small state, written to disk before HAProxy is told.

The truth is the state file. The map file follows from it and is what HAProxy reads when it starts or reloads; what
running workers have in memory follows from that. A switch that dies half-way has changed the first ones of these three
only, so that repeating it, or any later one, mends the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from . import durable, haproxy

SLOTS = ("blue", "green")
NO_CANDIDATE = "-"
ROUNDS = 5
"""How often workers are listed and told: a reload may bring new ones in between."""

_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_PATH = re.compile(r"/[A-Za-z0-9._/-]+\Z")


class SwitchError(Exception):
    """A switch that was refused or did not take everywhere; the text says why and what to do."""


@dataclass(frozen=True)
class State:
    """Who serves a site: `live` gets all requests but `weight` percent, which go to `candidate` (empty: there is none).

    `epoch` counts the changes, from 1; `changed_at` is the time of the last one (UTC, ISO 8601).
    """

    site: str
    epoch: int
    live: str
    candidate: str = ""
    weight: int = 0
    changed_at: str = ""

    def __post_init__(self) -> None:
        """Refuse with ValueError what would answer everyone with an error."""
        if not _SITE.match(self.site):
            raise ValueError(f"'{self.site}' is no name for a site: letters, digits, dots, dashes")
        if type(self.epoch) is not int or self.epoch < 1:
            raise ValueError(f"epoch {self.epoch!r} is not a positive number")
        if self.live not in SLOTS:
            raise ValueError(f"live slot {self.live!r} is not one of {', '.join(SLOTS)}")
        if self.candidate not in ("", other(self.live)):
            raise ValueError(f"candidate {self.candidate!r} is not the slot beside {self.live}")
        if type(self.weight) is not int or not 0 <= self.weight <= 100:
            raise ValueError(f"weight {self.weight!r} is not a number from 0 to 100")
        if self.weight and not self.candidate:
            raise ValueError(f"weight {self.weight} without a candidate")

    @property
    def value(self) -> str:
        """What HAProxy's map says for the site."""
        return f"{self.epoch}:{self.live}:{self.candidate or NO_CANDIDATE}:{self.weight}"

    @classmethod
    def from_value(cls, site: str, value: str) -> State:
        """Read what a map says; raises ValueError when it is nothing that this module writes."""
        parts = value.split(":")
        if len(parts) != 4 or not (parts[0].isdigit() and parts[3].isdigit()):
            raise ValueError(f"'{value}' is not epoch:live:candidate:weight")
        candidate = "" if parts[2] == NO_CANDIDATE else parts[2]
        return cls(site, int(parts[0]), parts[1], candidate, int(parts[3]))

    @classmethod
    def from_json(cls, text: str) -> State:
        """Read a state file's content; raises ValueError when it is damaged. Unknown keys are left alone."""
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("not a JSON object")
        missing = [name for name in ("site", "epoch", "live") if name not in data]
        if missing:
            raise ValueError(f"without {', '.join(missing)}")
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})

    def as_json(self) -> str:
        """Return the state file's content."""
        return json.dumps(asdict(self), indent=2) + "\n"


def other(slot: str) -> str:
    """Return the slot beside `slot`."""
    return SLOTS[1 - SLOTS.index(slot)]


@dataclass(frozen=True)
class Places:
    """Where a site's state lives; `seconds` bounds each question to a socket and the wait for another switch."""

    site: str
    state_file: str
    map_file: str
    runtime_socket: str
    master_socket: str
    seconds: float = 5.0

    def __post_init__(self) -> None:
        """Refuse names that would be something else in a map line or in a command to HAProxy."""
        if not _SITE.match(self.site):
            raise SwitchError(f"'{self.site}' is no name for a site: letters, digits, dots, dashes")
        if not _PATH.match(self.map_file):
            raise SwitchError(f"map_file must be an absolute path of plain characters, not {self.map_file}")


@dataclass(frozen=True)
class Seen:
    """What was found: on disk, and in each worker (`value` None: it has no entry, or a `problem`)."""

    state: State | None
    damage: str
    map_value: str | None
    map_present: bool
    workers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def lost(self) -> bool:
        """Whether there is no state although something else knows the site."""
        return self.state is None and bool(self.damage or self.traces)

    @property
    def traces(self) -> list[str]:
        """What workers (newest first) and the map file say, in the order in which to believe them."""
        values = [worker["value"] for worker in self.workers] + [self.map_value]
        return [value for value in values if value is not None]


def look(places: Places) -> Seen:
    """Read disk and ask the workers; changes nothing. Raises SwitchError when the state file is another site's."""
    state, damage = _read_state(places)
    value, present = _read_map(places)
    return Seen(state, damage, value, present, _ask_workers(places))


def _read_state(places: Places) -> tuple[State | None, str]:
    """Return the state on disk, or None and, where there is a damaged one, what is wrong with it."""
    try:
        with open(places.state_file, encoding="utf-8") as file:
            state = State.from_json(file.read())
    except FileNotFoundError:
        return None, ""
    except (ValueError, TypeError) as error:
        return None, f"{places.state_file} is damaged: {error}"
    except OSError as error:
        raise SwitchError(f"{places.state_file}: {error.strerror}") from error
    if state.site != places.site:
        raise SwitchError(f"{places.state_file} belongs to site '{state.site}', not to '{places.site}'")
    return state, ""


def _read_map(places: Places) -> tuple[str | None, bool]:
    """Return what the map file says for the site, and whether there is a map file."""
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
    """Ask each worker what it has in memory; what keeps one from answering is its `problem`."""
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


def report(places: Places, seen: Seen) -> dict[str, Any]:
    """Return what was found as data.

    With the state lost, `live` and what belongs to it are what the workers serve, or what the map file says: the truth
    about the public, and not to be built upon; `state_lost` says so.
    """
    state = seen.state
    if state is None:
        for trace in seen.traces:
            with contextlib.suppress(ValueError):
                state = State.from_value(places.site, trace)
                break
    value = state.value if state else None
    workers = [{**worker, "agrees": value is not None and worker["value"] == value} for worker in seen.workers]
    return {
        "site": places.site,
        "live": state.live if state else None,
        "idle": other(state.live) if state else None,
        "epoch": state.epoch if state else 0,
        "candidate": (state.candidate or None) if state else None,
        "weight": state.weight if state else 0,
        "changed_at": (state.changed_at or None) if state else None,
        "state_lost": seen.lost,
        "map_present": seen.map_present,
        "disk": {"state": asdict(seen.state) if seen.state else None, "damage": seen.damage, "map": seen.map_value},
        "workers": workers,
        "running": bool(workers),
        "in_force": bool(workers)
        and seen.state is not None
        and seen.map_value == seen.state.value
        and all(worker["agrees"] for worker in workers),
    }


def decide(seen: Seen, site: str, live: str | None, expected_epoch: int | None, recover: bool) -> State:
    """Return the state that should be, the one there is when nothing is to change; raises SwitchError on a refusal.

    A repeated call is not refused for the epoch that it made itself: one further than expected, with the live slot that
    was asked for.
    """
    now = seen.state
    if live is not None and live not in SLOTS:
        raise SwitchError(f"'{live}' is not a slot: {' or '.join(SLOTS)}")
    if now is None:
        return _first(seen, site, live, expected_epoch, recover)
    done = State(site, now.epoch, live or now.live, changed_at=now.changed_at)
    if expected_epoch not in (None, now.epoch) and not (now == done and now.epoch == expected_epoch + 1):
        raise SwitchError(
            f"refused: epoch {expected_epoch} was expected, and it is {now.epoch}: "
            f"{now.live} is live since {now.changed_at or 'an unknown time'}; look at the status, then decide again"
        )
    if live is None or now == done:
        return now
    return replace(done, epoch=now.epoch + 1, changed_at=_now())


def _first(seen: Seen, site: str, live: str | None, expected_epoch: int | None, recover: bool) -> State:
    """Decide where there is no state: on a new edge, or after it was lost."""
    if live is None:
        raise SwitchError("there is no state yet: say which slot is live")
    if seen.lost and not recover:
        traces = ", ".join(sorted(set(seen.traces))) or "nothing else"
        raise SwitchError(
            f"refused: the state of '{site}' was lost ({seen.damage or 'no state file'}; proxy and map say {traces}). "
            "Find out which slot serves, then say so: live, and recover: true"
        )
    epochs = [int(value.split(":")[0]) for value in seen.traces if value.split(":")[0].isdigit()]
    epoch = max(epochs, default=0)
    if expected_epoch not in (None, epoch):
        raise SwitchError(f"refused: epoch {expected_epoch} was expected, and there is no state at all")
    return State(site, epoch + 1, live, changed_at=_now())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def apply(places: Places, seen: Seen, wanted: State) -> list[str]:
    """Put `wanted` in force: state file, map file, workers. Returns what had to be changed, raises SwitchError.

    The caller holds the lock. Killed at any point, this does the rest when it is called again.
    """
    changed = []
    try:
        if seen.state != wanted:
            durable.write(places.state_file, wanted.as_json().encode())
            changed.append("state")
        if seen.map_value != wanted.value:
            durable.write(places.map_file, _map_with(places, wanted).encode())
            changed.append("map")
    except OSError as error:
        raise SwitchError(f"{error.filename}: {error.strerror}; nothing was told to HAProxy") from error
    for name in _tell_workers(places, wanted):
        if (what := f"worker {name}") not in changed:
            changed.append(what)
    return changed


def _map_with(places: Places, wanted: State) -> str:
    """Return the map file's content with the site's line as it should be; other sites' lines stay."""
    lines = []
    with contextlib.suppress(FileNotFoundError), open(places.map_file, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if line.split(maxsplit=1)[:1] != [places.site]]
    return "\n".join([*lines, f"{places.site} {wanted.value}"]) + "\n"


def _tell_workers(places: Places, wanted: State) -> Iterator[str]:
    """Set the value in each worker that has another one, until a list of them shows none; yields their names."""
    for _ in range(ROUNDS):
        told = 0
        try:
            for worker in haproxy.workers(places.runtime_socket, places.master_socket, places.seconds):
                with contextlib.suppress(haproxy.NobodyThereError, haproxy.UnknownMapError):
                    if haproxy.read(worker, places.map_file, places.site, places.seconds) != wanted.value:
                        haproxy.put(worker, places.map_file, places.site, wanted.value, places.seconds)
                        told += 1
                        yield worker.name
        except haproxy.SocketError as error:
            raise SwitchError(f"disk says {wanted.live} is live, HAProxy may not: {error}; repeat the call") from error
        if not told:
            return
    raise SwitchError(f"disk says {wanted.live} is live, HAProxy's workers change faster than they can be told; repeat")


@contextlib.contextmanager
def locked(places: Places) -> Iterator[None]:
    """Keep other switches on this host out; the lock ends with its holder. Raises SwitchError when one goes on."""
    path = places.state_file + ".lock"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SwitchError(f"{path}: {error.strerror}") from error
    try:
        give_up = time.monotonic() + places.seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > give_up:
                    raise SwitchError(
                        "another switch is at work on this host; look at the status, then repeat"
                    ) from error
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)
