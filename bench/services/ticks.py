# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the ticks of scheduled jobs, from the file that the jobs write (services/kit/config/app.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def problems(text: str, every: Mapping[str, int]) -> Iterator[str]:
    """Yield what is wrong: a tick that was lost, came twice, overlapped or was cut off; `every` = {job: seconds}.

    Lines are `<time> begin|end <job> <slot>`, and `<time> hook <hook> <slot>`. The last run of a job may be in
    progress.
    """
    running: dict[str, tuple[float, str]] = {}
    before: dict[str, int] = {}
    for line in text.splitlines():
        time, what, name, slot = line.split()
        if what == "begin":
            if name in running:
                yield f"{name}: began in {slot} at {time}, while one ran in {running[name][1]}, or one was cut off"
            running[name] = float(time), slot
            tick = int(float(time) // every[name])
            missed = tick - before.get(name, tick - 1) - 1
            if missed < 0:
                yield f"{name}: twice at one tick, {time}"
            elif missed:
                yield f"{name}: {missed} ticks lost before {time}"
            before[name] = tick
        elif what == "end" and running.pop(name, (0.0, ""))[1] != slot:
            yield f"{name}: ended in {slot} at {time}, where it didn't begin"


def counted(text: str, what: str) -> int:
    """Return how many lines there are of a kind."""
    return sum(line.split()[1] == what for line in text.splitlines())
