# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Two edge hosts of which one dies while it commits, one with a full disk, one that goes back: never two truths."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.switch.crash_list import ABORT, COMMIT, DEADLINE, PREPARE
from bench.switch.doing import Result, alone, do, killed, late, settled
from bench.switch.proxy import SITE, Proxy, running
from plugins.module_utils.greenroom.switch import apply, haproxy, watchdog
from plugins.module_utils.greenroom.switch.bluegreen import State, SwitchError
from plugins.module_utils.greenroom.switch.clock import Clock
from plugins.module_utils.greenroom.switch.deadline import Judged
from plugins.module_utils.greenroom.switch.steps import AHEAD, Wish

MOMENTS = (
    "before the state file is replaced",
    "after the state file is replaced",
    "before worker 1 is told",
    "at the end",
)


@dataclass
class Two:
    """Two edge hosts. `meaning` is the position of each epoch that one of them had on its disk or in effect."""

    one: Proxy
    two: Proxy
    meaning: dict[int, tuple[str, str, int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def look(self, when: str) -> None:
        """Note what requests and disks say now; an epoch with two meanings is an error."""
        for name, proxy in (("one", self.one), ("two", self.two)):
            on_disk = apply.look(proxy.places, workers=False).state
            served = proxy.value() if proxy.runs else None
            for state in (on_disk, State.from_value(SITE, served) if served else None):
                if state and self.meaning.setdefault(state.epoch, state.position) != state.position:
                    self.wrong.append(f"{when}, {name}: two truths for epoch {state.epoch}: {state.value}")

    def begin(self) -> int:
        """Let both be idle with blue live, prepare green on both, and commit it on the first one; returns the epoch."""
        states = [apply.look(proxy.places).state for proxy in (self.one, self.two)]
        epoch = max((state.highest for state in states if state), default=0) + 1
        for proxy in (self.one, self.two):
            with apply.locked(proxy.places):
                first = State(SITE, epoch, "blue", changed_at="before", previous="")
                apply.apply(proxy.places, apply.look(proxy.places), first)
            green = {"live": "green", "weight": 0, "epoch": epoch + 1, "bake": {"limits": {}}}
            do(proxy.places, Wish(**{**PREPARE, **green}))
        self.look("prepared")
        do(self.one.places, self.commit(epoch))
        self.look("committed on one")
        return epoch

    def commit(self, epoch: int) -> Wish:
        """Return the call that commits it."""
        return Wish(**{**COMMIT, "epoch": epoch + 1})


def start(proxy: Proxy, peer: Proxy | None) -> str:
    """Start HAProxy as its unit does, with a peer or with silent ones; returns its first response."""
    with apply.locked(proxy.places):
        seen = apply.look(proxy.places, workers=False)
        if wanted := apply.caught_up(seen, said(peer), Clock.now()):
            apply.settle(proxy.places, seen, wanted)
    answer = proxy.start()
    watchdog.settle(alone(proxy.places))
    return answer


def said(peer: Proxy | None) -> State | None:
    """Return what a peer says that it has in effect; None if it is silent."""
    value = peer.value() if peer else None
    return State.from_value(SITE, value) if value else None


def watch(proxy: Proxy, peer: Proxy | None, clock: Clock, by: str = "") -> None:
    """Run the watchdog's check; `by` is what ends a bake in a rollback, empty for a good candidate."""
    with apply.locked(proxy.places):
        state = apply.look(proxy.places, workers=False).state
        watchdog.tick(proxy.places, said(peer), clock, Judged(state, "", by) if state else None)


def returns(both: Two, epoch: int) -> State:
    """Bring it back, in reach of the other one."""
    start(both.two, both.one)
    return State(SITE, epoch + 1, "green", previous="blue")


def returns_to_silence(both: Two, epoch: int) -> State:
    """Bring it back, in reach of the other one only after the deadline."""
    start(both.two, None)
    both.look("alone")
    watch(both.two, None, late())
    both.look("alone, after the deadline")
    watch(both.two, both.one, late())
    return State(SITE, epoch + 1, "green", previous="blue")


def first_one_dies(both: Two, epoch: int) -> State:
    """Bring it back, while the one that has committed is dead until after the deadline."""
    both.one.kill()
    start(both.two, None)
    watch(both.two, None, late())
    both.look("without the first one")
    start(both.one, both.two)
    both.look("both again")
    watch(both.two, both.one, late())
    return State(SITE, epoch + 1, "green", previous="blue")


def is_aborted(both: Two, epoch: int) -> State:
    """Abort on the one that is left, under a new epoch, and bring the dead one back."""
    do(both.one.places, Wish(**{**ABORT, "live": "blue", "epoch": epoch + 2}))
    both.look("aborted")
    start(both.two, both.one)
    return State(SITE, epoch + 2, "blue", previous="")


def is_judged_alone(both: Two, epoch: int) -> State:
    """Let the one that is left judge the candidate bad, with the run gone, and bring the dead one back."""
    watch(both.one, None, late(), by="the watchdog")
    both.look("judged")
    start(both.two, both.one)
    return State(SITE, epoch + 1 + AHEAD, "blue", previous="")


def is_judged_by_both(both: Two, epoch: int) -> State:
    """Bring the dead one back, which keeps the candidate while the other one judges it bad; then it follows."""
    start(both.two, both.one)
    watch(both.two, None, late())
    both.look("kept")
    watch(both.one, None, late(), by="the watchdog")
    both.look("judged")
    watch(both.two, both.one, late())
    return State(SITE, epoch + 1 + AHEAD, "blue", previous="")


ENDINGS: tuple[Callable[[Two, int], State], ...] = (
    returns,
    returns_to_silence,
    first_one_dies,
    is_aborted,
    is_judged_alone,
    is_judged_by_both,
)


def dies_in_the_commit(folder: Path, result: Result) -> None:
    """Let the second edge host die at moments of its commit: module and HAProxy at once."""
    for name in ("one", "two"):
        (folder / name).mkdir()
    with running(folder / "one") as one, running(folder / "two") as two:

        def dies() -> None:
            os.killpg(two.group, signal.SIGKILL)
            os._exit(1)

        for ending in ENDINGS:
            for moment in MOMENTS:
                both = Two(one, two)
                epoch = both.begin()
                killed(two.places, both.commit(epoch), moment, dies)
                two.kill()
                result.cases += 1
                expected = ending(both, epoch)
                both.look("at the end")
                for proxy in (one, two):
                    watch(proxy, None, late())
                    both.wrong += settled(proxy, expected, {"idle"})
                    if (state := apply.look(proxy.places).state) and state.value != expected.value:
                        both.wrong.append(f"ends with {state.value} instead of {expected.value}")
                result.failures += [f"{ending.__name__}, died {moment}: {text}" for text in both.wrong]


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of one megabyte for the duration of a with block."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Fill a file system for the duration of a with block."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        path.unlink()


def refused(call: Callable[[], object]) -> str:
    """Return the error of a call, or an empty string."""
    try:
        call()
    except SwitchError as error:
        return str(error)
    return ""


def full_disk(folder: Path, result: Result) -> None:
    """Fill the disk of state and map, then that of the map alone."""
    with small_disk(folder / "disk") as disk, running(disk) as proxy:
        do(proxy.places, Wish(live="blue"))
        _ends_a_canary(proxy, disk, result)
        _refuses_a_switch(proxy, disk, result)
    with small_disk(folder / "map") as disk, running(disk) as proxy:
        proxy.places = replace(proxy.places, state_file=str(folder / "map-state.json"))
        do(proxy.places, Wish(live="blue"))
        _switches_without_the_map(proxy, disk, result)


def by_hand(folder: Path, result: Result) -> None:
    """Run `greenroom-edge back` as an operator does, with a silent peer; the previous slot is down, then up."""
    (folder / "hand").mkdir()
    with running(folder / "hand") as proxy, socket.create_server(("127.0.0.1", 0)) as silent:
        places = proxy.places
        names = ("site", "state_file", "map_file", "runtime_socket", "master_socket")
        peers = {"peers": ["127.0.0.1"], "port": silent.getsockname()[1], "public_name": "test", "ca_file": None}
        given = {**{name: getattr(places, name) for name in names}, **peers, "watchdog_seconds": 1}
        (folder / "edge.json").write_text(json.dumps(given))
        program = (
            f"from {watchdog.__name__} import main; raise SystemExit(main(sys.argv[1:], {str(folder / 'edge.json')!r}))"
        )

        def back(*options: str) -> str:
            words = [sys.executable, "-c", f"import sys; {program}", "back", *options]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            return done.stdout + done.stderr

        do(places, Wish(live="blue"))
        do(places, Wish(live="green"))
        haproxy.ask(places.runtime_socket, "disable server app_blue/silent", places.seconds)
        said_down = back()
        checks = {
            f"down: {said_down}": "no server of app_blue (silent) is healthy" in said_down,
            "moved": _live(proxy) == "green",
        }
        haproxy.ask(places.runtime_socket, "enable server app_blue/silent", places.seconds)
        said_up = back()
        checks[f"up: {said_up}"] = "127.0.0.1 did not answer" in said_up and _live(proxy) == "blue"
        said_again = back("--force")
        checks[f"again: {said_again}"] = "nothing to go back to" in said_again and _live(proxy) == "blue"
        _noted(result, "back", checks, settled(proxy, State(SITE, 12, "blue", previous=""), {"idle"}))


def _live(proxy: Proxy) -> str:
    return (proxy.value() or "::").split(":")[1]


def _noted(result: Result, name: str, checks: dict[str, bool], more: Iterator[str]) -> None:
    result.cases += 1
    wrong = [text for text, good in checks.items() if not good]
    result.failures += [f"{name}: {text}" for text in [*wrong, *more]]


def _ends_a_canary(proxy: Proxy, disk: Path, result: Result) -> None:
    do(proxy.places, Wish(**PREPARE))
    do(proxy.places, Wish(**COMMIT))
    ended = "3:blue:-:0:-"
    checks = {"no canary": proxy.value() == "2:blue:green:5:-"}
    with filled(disk):
        for turn in ("first", "second"):
            error = refused(lambda: watch(proxy, None, late()))
            checks[f"the {turn} check reports {error!r}"] = "No space left on device" in error
            checks[f"after the {turn} check, a request gets {proxy.value()}"] = proxy.value() == ended
        checks["a peer doesn't learn of the end"] = said(proxy) == State.from_value(SITE, ended)
    watch(proxy, None, late())
    _noted(result, "full disk, end of a canary", checks, settled(proxy, State(SITE, 3, "blue", previous=""), {"idle"}))


def _refuses_a_switch(proxy: Proxy, disk: Path, result: Result) -> None:
    before = proxy.value()
    with filled(disk):
        error = refused(lambda: do(proxy.places, Wish(live="green")))
        checks = {f"reports {error!r}": "HAProxy was not changed" in error, "has moved": proxy.value() == before}
        checks["not in effect"] = not list(settled(proxy, State(SITE, 3, "blue", previous=""), {"idle"}))
    do(proxy.places, Wish(live="green"))
    _noted(result, "full disk, switch", checks, settled(proxy, State(SITE, 4, "green", previous="blue"), {"idle"}))


def _switches_without_the_map(proxy: Proxy, disk: Path, result: Result) -> None:
    switched = "2:green:-:0:blue"
    with filled(disk):
        error = refused(lambda: do(proxy.places, Wish(live="green")))
        checks = {f"reports {error!r}": f"HAProxy follows {switched}" in error}
        checks[f"a request gets {proxy.value()}"] = proxy.value() == switched
        proxy.kill()
        # Its first response may be that of the old map.
        proxy.start()
        checks["the start says nothing"] = bool(refused(lambda: watchdog.settle(alone(proxy.places))))
        checks[f"after the start, a request gets {proxy.value()}"] = proxy.value() == switched
    watch(proxy, None, Clock.now() + DEADLINE)
    _noted(result, "full disk, map", checks, settled(proxy, State(SITE, 2, "green", previous="blue"), {"idle"}))
