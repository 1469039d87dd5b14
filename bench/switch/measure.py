# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Times switches with a real HAProxy: `measure SWITCHES WORKERS FOLDER` prints one JSON object of milliseconds.

A switch is the work of the module after reading its arguments: take the lock, read disk and workers, decide, write
state and map, set it in every worker and read it back. After that, a request must get the new value.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from bench.switch.proxy import Proxy, running
from plugins.module_utils.greenroom.switch import apply, haproxy, steps
from plugins.module_utils.greenroom.switch.clock import Clock
from plugins.module_utils.greenroom.switch.steps import Wish


def switch(proxy: Proxy, wish: Wish) -> tuple[float, float]:
    """Make one switch; returns its milliseconds, in total and for the disk."""
    started = time.perf_counter()
    with apply.locked(proxy.places):
        seen = apply.look(proxy.places)
        if seen.state is None:
            wanted = steps.first(proxy.places.site, wish, seen.traces, seen.damage, Clock.now())
        else:
            wanted = steps.decide(seen.state, wish, Clock.now())
        before = time.perf_counter()
        apply.settle(proxy.places, seen, wanted)
        disk = time.perf_counter() - before
        seen = apply.Seen(wanted, "", wanted.value, True, seen.workers)
        apply.apply(proxy.places, seen, wanted)
    took = time.perf_counter() - started
    if proxy.value() != wanted.value:
        raise RuntimeError(f"{wanted.value} is not in effect")
    return took * 1000, disk * 1000


def main() -> None:
    """Run the switches and print their times."""
    switches, workers = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=sys.argv[3]) as name, running(Path(name)) as proxy:
        switch(proxy, Wish(live="blue"))
        for _ in range(workers - 1):
            proxy.hold()
            haproxy.reload(proxy.places.master_socket, proxy.places.runtime_socket, 30)
        there = len(haproxy.workers(proxy.places.runtime_socket, proxy.places.master_socket, 5))
        if there != workers:
            raise RuntimeError(f"{there} workers instead of {workers}")
        times = [switch(proxy, Wish(live=("green", "blue")[turn % 2])) for turn in range(switches)]
    print(json.dumps({"all": [time for time, _disk in times], "disk": [disk for _time, disk in times]}))


if __name__ == "__main__":
    main()
