# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Kills the module or HAProxy at every moment of every change, then checks and repeats the change: `crash FOLDER`.

Then the faults of two edge hosts and of a full disk (`faults`). Prints one JSON object: `cases`, `failures` (as text),
`requests` that were sent meanwhile, and how many of them were `unserved` while HAProxy should have been running.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.switch import faults
from bench.switch.crash_list import CHANGES, MOMENTS
from bench.switch.doing import Result, after, alone, do, killed, late, settled, suicide, verdict
from bench.switch.proxy import TIMEOUT, Proxy, ask, running
from plugins.module_utils.greenroom.switch import apply, deadline, haproxy, watchdog
from plugins.module_utils.greenroom.switch.bluegreen import State
from plugins.module_utils.greenroom.switch.report import report
from plugins.module_utils.greenroom.switch.steps import Wish

WORKERS = 2


def truth(proxy: Proxy, before: State, then: State) -> Iterator[str]:
    """Yield errors right after the kill: disk and workers must have one of two states, and status must report it."""
    found = report(proxy.places, apply.look(proxy.places))
    values = {before.value, then.value}
    on_disk = found["disk"]["state"]
    if on_disk is None or (on_disk["epoch"], on_disk["live"]) not in {(s.epoch, s.live) for s in (before, then)}:
        yield f"disk says {on_disk}"
    if found["disk"]["map"] not in values:
        yield f"the map says {found['disk']['map']}"
    for worker in found["workers"]:
        if worker["value"] not in values:
            yield f"worker {worker['name']} says {worker['value']} {worker['problem']}"
    said = {found["disk"]["map"], *(worker["value"] for worker in found["workers"])}
    if found["running"] and found["in_force"] != (said == {found["value"]}):
        yield f"in effect: {found['in_force']}, though disk says {found['value']} and the rest {said}"


def prepare(proxy: Proxy, wishes: tuple[Wish, ...]) -> tuple[State, State]:
    """Set up an idle edge with blue live, and the calls before the change; returns the state before and after it."""
    places = proxy.places
    with apply.locked(places):
        seen = apply.look(places)
        epoch = seen.state.highest + 1 if seen.state else 1
        apply.apply(places, seen, State(places.site, epoch, "blue", changed_at="before", previous=""))
    for wish in wishes[:-1]:
        do(places, wish)
    before = apply.look(places).state
    if before is None:
        raise RuntimeError("no state was written")
    return before, after(before, wishes[-1])


def restart(proxy: Proxy) -> str:
    """Start HAProxy as its unit does; returns its first response."""
    proxy.kill()
    watchdog.catch_up(alone(proxy.places))
    answer = proxy.start()
    watchdog.settle(alone(proxy.places))
    return answer


def more_workers(proxy: Proxy) -> None:
    """Reload until there are as many workers as the list of moments needs."""
    while True:
        there = haproxy.workers(proxy.places.runtime_socket, proxy.places.master_socket, TIMEOUT)
        if len(there) >= WORKERS:
            return
        proxy.hold()
        watchdog.reload(alone(proxy.places))


def module_killed(proxy: Proxy, result: Result) -> None:
    """Kill the module, then repeat the call, or run the watchdog after the deadline, with the clock set back."""
    for name, calls in CHANGES.items():
        wishes = tuple(Wish(**call) for call in calls)
        for moment in MOMENTS:
            for mender in ("repeated", "watchdog"):
                before, then = prepare(proxy, wishes)
                if not killed(proxy.places, wishes[-1], moment, suicide):
                    break
                result.cases += 1
                wrong = list(truth(proxy, before, then))
                if mender == "repeated":
                    do(proxy.places, wishes[-1])
                    wrong += settled(proxy, then, {then.phase})
                    if again := do(proxy.places, wishes[-1]):
                        wrong.append(f"another repetition changed {again}")
                else:
                    there = apply.look(proxy.places).state or then
                    later, judged = late(), verdict(there, wishes[-1])
                    watchdog.tick(proxy.places, None, later, judged)
                    end = deadline.expire(there, later, judged)
                    wrong += settled(proxy, end, {"idle"})
                    if again := watchdog.tick(proxy.places, None, later):
                        wrong.append(f"the watchdog's second run changed {again}")
                result.failures += [f"{name}, killed {moment}, {mender}: {text}" for text in wrong]


def proxy_killed(proxy: Proxy, result: Result, down: list[tuple[float, float]]) -> None:
    """Kill HAProxy during a call. After its start, its first response must match the disk."""
    for name in ("immediate switch", "commit a canary", "commit live", "roll back", "go back by hand"):
        wishes = tuple(Wish(**call) for call in CHANGES[name])
        for moment in ("before the state file is replaced", *MOMENTS[3:7]):
            before, then = prepare(proxy, wishes)
            began = time.time()
            if killed(proxy.places, wishes[-1], moment, partial(os.killpg, proxy.group, signal.SIGKILL)):
                result.cases += 1
                wrong = list(truth(proxy, before, then))
                answer = restart(proxy)
                state = apply.look(proxy.places).state
                if state is None or answer != state.value:
                    wrong.append(f"after the start, the first request gets {answer}, disk says {state}")
                do(proxy.places, wishes[-1])
                wrong += settled(proxy, then, {then.phase})
                result.failures += [f"{name}, proxy killed {moment}: {text}" for text in wrong]
                down.append((began, time.time()))
            more_workers(proxy)


def prober(port: int) -> tuple[int, int]:
    """Send requests from a child process until SIGTERM; returns its ID and the file descriptor of its result."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    asked, unserved = 0, []
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    while not stopping:
        began = time.time()
        asked += 1
        if ask(port) is None:
            unserved.append((began, time.time()))
        time.sleep(0.005)
    os.write(writing, json.dumps([asked, unserved[:1000]]).encode())
    os._exit(0)


def main() -> None:
    """Run all cases and print the result."""
    result = Result()
    down: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as name, running(Path(name)) as proxy:
        do(proxy.places, Wish(live="blue"))
        more_workers(proxy)
        child, reading = prober(proxy.port)
        module_killed(proxy, result)
        proxy_killed(proxy, result, down)
        os.kill(child, signal.SIGTERM)
        content = b""
        while select.select([reading], [], [], 2 * TIMEOUT)[0] and (chunk := os.read(reading, 65536)):
            content += chunk
        os.waitpid(child, 0)
        faults.dies_in_the_commit(Path(name), result)
        faults.full_disk(Path(name), result)
        faults.by_hand(Path(name), result)
    asked, unserved = json.loads(content)
    lost = [one for one in unserved if not any(began <= one[1] and one[0] <= ended for began, ended in down)]
    found = {"cases": result.cases, "failures": result.failures, "requests": asked, "unserved": len(lost)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
