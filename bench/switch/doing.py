# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Makes changes on an edge host as the module and greenroom-edge do, kills them midway, and looks at the result."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from bench.switch.crash_list import BACK, BAD, DEADLINE, GOOD, LATE
from bench.switch.proxy import Proxy
from plugins.module_utils.greenroom.switch import apply, deadline, haproxy, peers, steps
from plugins.module_utils.greenroom.switch.apply import Places
from plugins.module_utils.greenroom.switch.bluegreen import State, SwitchError
from plugins.module_utils.greenroom.switch.clock import Clock
from plugins.module_utils.greenroom.switch.host import Host
from plugins.module_utils.greenroom.switch.report import report
from plugins.module_utils.greenroom.switch.steps import Wish


@dataclass
class Result:
    """The number of cases, and the failures."""

    cases: int = 0
    failures: list[str] = field(default_factory=list)


def late() -> Clock:
    """Return a moment after the deadline; the wall clock was set an hour back meanwhile."""
    now = Clock.now() + (DEADLINE + 5)
    return replace(now, wall=now.wall - 3600)


def after(now: State, wish: Wish) -> State:
    """Return the state that a call leads to. Raises SwitchError if it is refused."""
    if wish.state == BACK["state"]:
        return steps.go_back(now, "by hand", Clock.now())
    if wish.state == LATE["state"]:
        return deadline.expire(now, late())
    if wish.state in (GOOD["state"], BAD["state"]):
        return deadline.expire(now, late(), verdict(now, wish))
    return steps.decide(now, wish, Clock.now())


def verdict(now: State, wish: Wish) -> deadline.Judged:
    """Return the watchdog's verdict on a bake."""
    return deadline.Judged(now, wish.state, "the watchdog" if wish.state == BAD["state"] else "")


def do(places: Places, wish: Wish) -> list[str]:
    """Run the module's logic; returns what it changed, except deadlines."""
    with apply.locked(places):
        seen = apply.look(places)
        if seen.state is None:
            wanted = steps.first(places.site, wish, seen.traces, seen.damage, Clock.now())
        else:
            wanted = _repeatable(seen.state, wish)
        changed = apply.apply(places, seen, wanted, unsaved=wish.state == LATE["state"])
    return [what for what in changed if not (what == "state" and wanted.only_wound_since(seen.state))]


def _repeatable(now: State, wish: Wish) -> State:
    """Like `after`, but going back a second time is refused, and greenroom-edge then only repairs."""
    try:
        return after(now, wish)
    except SwitchError:
        if wish.state != BACK["state"]:
            raise
        return now


def moments(places: Places, reached: Callable[[str], None]) -> None:
    """Patch this process so that it calls `reached` at each moment of the list."""
    replace_file, put = os.replace, haproxy.put
    told = 0

    def noted_replace(source: str, target: str) -> None:
        name = "state" if target == places.state_file else "map"
        reached(f"before the {name} file is replaced")
        replace_file(source, target)
        reached(f"after the {name} file is replaced")

    def noted_put(*arguments: object, **named: object) -> None:
        nonlocal told
        told += 1
        reached(f"before worker {told} is told")
        put(*arguments, **named)  # type: ignore[arg-type]
        reached(f"after worker {told} is told")

    os.replace = noted_replace  # type: ignore[assignment]
    haproxy.put = noted_put


def killed(places: Places, wish: Wish, moment: str, kill: Callable[[], None]) -> bool:
    """Make a change in a child process that calls `kill` at the moment; returns whether it reached the moment."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:

        def reached(now: str) -> None:
            if now == moment:
                os.write(writing, b"x")
                kill()

        moments(places, reached)
        try:
            do(places, wish)
            reached("at the end")
        except SwitchError:
            pass
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    came = bool(os.read(reading, 1))
    os.close(reading)
    return came


def suicide() -> None:
    """End this process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def alone(places: Places) -> Host:
    """Return an edge host without peers."""
    return Host(places, peers.Peers((), 0, "", ""), watchdog_seconds=5)


def settled(proxy: Proxy, expected: State, phases: set[str]) -> Iterator[str]:
    """Yield errors after the repeated call or the watchdog."""
    found = report(proxy.places, apply.look(proxy.places))
    if not found["in_force"]:
        yield f"not in effect: {found['workers']}, map {found['disk']['map']}"
    if (found["live"], found["weight"]) != (expected.live, expected.weight):
        yield f"{found['live']} with {found['weight']} % instead of {expected.live} with {expected.weight} %"
    if found["previous"] != expected.previous:
        yield f"previous slot {found['previous']!r} instead of {expected.previous!r}"
    if found["phase"] not in phases:
        yield f"phase {found['phase']}, not {' or '.join(sorted(phases))}"
    if proxy.value() != found["value"]:
        yield f"a request gets {proxy.value()}"
