# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures `make stage`: from no hosts to a staging environment whose checks have all passed.

    make bench-stage [ROUNDS=3]        or        python3 -m bench.stage.run [--rounds 3] [--cold]

Each round is `make down`, which is not timed, then `make stage`, with the time of each line that it prints. With
`--cold`, a first round starts with `make clean`: no virtual environment, no built images, no packages. THIS REMOVES
THE LAB'S HOSTS AND ALL DATA ON THEM, production's, too. Writes bench/stage/README.md. Needs only Python.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.common import RECAP, ROOT, machine, say, seconds_list, table, verdict

HERE = Path(__file__).resolve().parent
AIM = 90
TOOK = re.compile(r"^Took \d+ s: (.*(?:\n  .*)*)", re.MULTILINE)
PHASE = re.compile(r"(\w+) (\d+) s\b")
COLD = "Cold, after `make clean`"
README = """\
# A staging environment from scratch

Goal: with warm caches, `make stage` takes {aim} s or less on two cores, from no hosts until all checks have passed.

{result}

Median: **{median:.0f} s** ({verdict}). {cold}

Measured on {machine}; medians of {rounds} rounds of
`make down && make stage`. To repeat this (about {minutes:.0f} minutes; it removes the lab's hosts):

    make bench-stage

A cold start adds `make clean` before the first round, which removes the virtual environment and everything that the
lab built. The machine's Debian packages and the download caches of pip, uv, npm and Go stay. It takes long, mostly for
building Kratos and for downloads:

    python3 -m bench.stage.run --cold
"""


@dataclass
class Stage:
    """The seconds of one `make stage`: in total, and by phase in order."""

    total: float
    phases: dict[str, float]


def make(target: str) -> None:
    """Run a target of the Makefile. Exits if it fails."""
    done = subprocess.run(
        ["make", target],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        sys.exit(f"make {target} failed:\n{done.stdout}")


def stage() -> Stage:
    """Run `make stage` and time its phases. Exits if it fails."""
    started = time.monotonic()
    lines: list[tuple[float, str]] = []
    with subprocess.Popen(
        ["make", "stage"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append((time.monotonic() - started, line.rstrip()))
    total = time.monotonic() - started
    if process.returncode:
        sys.exit("make stage failed:\n" + "\n".join(line for _, line in lines))
    return Stage(total, phases(lines, total))


def phases(lines: list[tuple[float, str]], total: float) -> dict[str, float]:
    """Return seconds by phase, from lines as (seconds since the start, line).

    The phases of `make stage` start when its commands are printed. site.yml reports its own.
    """
    commands = [(at, line) for at, line in lines if line.startswith("ansible-playbook ")]
    if len(commands) != 2 or not RECAP.search("\n".join(line for _, line in lines)):
        sys.exit("make stage did not run secrets.yml and site.yml.")
    secrets, site = (at for at, _ in commands)
    end = max(at for at, line in lines if RECAP.match(line))
    found = {"lab": secrets, "secrets.yml": site - secrets, "site.yml": end - site}
    # "Took 51 s: open 6 s, hosts 16 s, ..." may go over several lines.
    took = TOOK.search("\n".join(line for at, line in lines if at >= site))
    for name, seconds in PHASE.findall(took[1] if took else ""):
        found[f"site.yml: {name}"] = float(seconds)
    return found | {"status": total - end}


def cold_line(took: Stage | None) -> str:
    """Return the README's sentence about a cold start: the new one, or the existing one."""
    if took is not None:
        return f"{COLD}: {took.total:.0f} s, of them {took.phases['lab']:.0f} s for set-up and the lab."
    readme = HERE / "README.md"
    kept = re.search(rf"{COLD}: [^\n]*", readme.read_text()) if readme.exists() else None
    return kept[0] if kept else f"{COLD}: not measured yet."


def write(rounds: list[Stage], cold: Stage | None) -> bool:
    """Write README.md, print its table, and return whether the goal was met."""
    median = statistics.median(round_.total for round_ in rounds)
    cells = {
        "`make stage`": [round_.total for round_ in rounds],
        **{name: [round_.phases.get(name, 0.0) for round_ in rounds] for name in rounds[0].phases},
    }
    rows = ([name, f"{statistics.median(values):.1f} s", seconds_list(values)] for name, values in cells.items())
    result = table(["phase", "median", "rounds"], rows)
    print(f"{result}\n\nmedian {median:.0f} s; {cold_line(cold)}")
    (HERE / "README.md").write_text(
        README.format(
            aim=AIM,
            result=result,
            median=median,
            verdict=verdict(median <= AIM),
            cold=cold_line(cold),
            machine=machine(),
            rounds=len(rounds),
            minutes=sum(round_.total + 10 for round_ in rounds) / 60 + 1,
        )
    )
    return median <= AIM


def main() -> None:
    """Run the benchmark and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="measure once after `make clean`, too")
    options = parser.parse_args()
    cold = None
    if options.cold:
        make("clean")
        cold = stage()
        say(f"cold: {cold.total:.0f} s")
    rounds = []
    for number in range(1, options.rounds + 1):
        make("down")
        rounds.append(stage())
        say(f"round {number}: {rounds[-1].total:.0f} s")
    if not write(rounds, cold):
        sys.exit("The goal was missed: see the table.")


if __name__ == "__main__":
    main()
