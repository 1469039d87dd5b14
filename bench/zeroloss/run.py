# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Counts the requests that are lost while the public is moved back and forth on staging.

    make bench-zeroloss [ROUNDS=1]        or, in parts of half an hour or less:        make proof-zeroloss

Open-loop load comes from the ops host, of all kinds at once, with retries off and an id in each request; meanwhile the
public is moved by the module, as an operator's playbook does. Afterwards the asker's account is reconciled with the
backends' logs. Rounds go on until there were enough requests and switches, or for as many as were asked for. Then edge
hosts are killed, and, to know that losses are seen, a slot without drain; last come other ways to change what serves,
on this machine's loopback. Writes bench/zeroloss/README.md.

A part (`--part moves-1 --kept FOLDER`) keeps what it counted in a folder; the one that comes last adds all up, and
writes the page. A part that is made again takes the place of what it had counted.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bench.common import machine, playbook, say, table, verdict
from bench.zeroloss.reconcile import Account, bound
from bench.zeroloss.rig import MATRIX, VISITORS, OpenLoop, mix, wait_ready
from bench.zeroloss.rivals import compare
from tests.real.environment import Environment, other, until

HERE = Path(__file__).resolve().parent
RATE = 400.0
SECONDS = 210.0
FAILOVER_SECONDS = 40.0
CONTROL_SECONDS = 20.0
LAST_MOVE = 15.0
"""No move is begun so shortly before the load ends, in seconds."""
STEPS = "canary steps"
MOVES: dict[str, dict[str, object]] = {
    "cut-over": {},
    STEPS: {"zeroloss_shares": [5, 25, 50, 100], "zeroloss_moves": 1},
    "roll-back": {"zeroloss_roll_back": True},
    "reload during a switch": {"zeroloss_reload": True},
}
REQUESTS, SWITCHES = 1_000_000, 200
KILLS = "kills"
PARTS = (*(f"moves-{number + 1}" for number in range(math.ceil(REQUESTS / (RATE * SECONDS * len(MOVES))))), KILLS)
"""So many rounds of all moves are enough; then come kills, and other ways to change what serves."""
FAILOVER = "edge host killed"
CONTROL = "control: killed without drain"
README = """\
# Requests lost while the public is moved

Wanted: none in {wanted:,} requests with at least {wanted_switches} switches.

{result}

Without the two last rows: **{sent:,} requests, {switches:,} switches, lost {lost}**{bound} ({verdict}).
None lost in N means: the true share is below 3/N, at 95 %.

- A switch is a step that all edge hosts took: a change of the live slot, or of the candidate's share.
- Lost is what was refused, reset, closed instead of an answer, truncated, not answered within 60 s, answered by the
  edge with a 5xx or by anybody with something else than the request's own id; a WebSocket, when it was closed before
  the asker did. Nothing is asked twice.
- The books agree when each answered request stands exactly once in a backend's log, by the slot that the answer names,
  and nothing else does.
- While shares rose, {visitors} people kept the edge's cookie; {unsticky} of them were moved back to the live slot.
- "{failover}": all of HAProxy on the active edge host is killed at once. What it had in its hands is lost, and what
  came until the other host took the address: that is what the row counts.
- "{control}": the old slot's processes are killed right after a cut-over. If this row lost nothing, the others would
  prove nothing.

## By kind of request

Lost of sent. `h1`, `h2`: HTTP/1.1, HTTP/2. `keep`: on a connection that is kept, `new`: on one of its own. The number
is how long the answer takes, in ms; a WebSocket stays open so long, and has an echo twice a second.

{matrix}
{rivals}
Measured on {machine}, with the lab's hosts on the same machine, at {rate:.0f} requests a second.
Again, with staging converged (about {minutes:.0f} minutes):

    make bench-zeroloss

Or part by part, each for itself (`make proof-zeroloss-moves-1`) or those that are missing:

    make proof-zeroloss
"""


@dataclass
class Row:
    """What one way to move the public cost."""

    account: Account = field(default_factory=Account)
    switches: int = 0

    def add(self, other: Row) -> None:
        """Take in what it cost at another time."""
        self.account.add(other.account)
        self.switches += other.switches


@dataclass
class Measured:
    """What was measured, of the whole or of a part: rows by name, the table of other ways, seconds that it took."""

    rows: dict[str, Row] = field(default_factory=lambda: {name: Row() for name in (*MOVES, FAILOVER, CONTROL)})
    rivals: str = ""
    seconds: float = 0.0

    def add(self, other: Measured) -> None:
        """Take in another part."""
        for name, row in self.rows.items():
            row.add(other.rows[name])
        self.rivals = self.rivals or other.rivals
        self.seconds += other.seconds

    def moved(self) -> Row:
        """All that must not lose anything."""
        total = Row()
        for name in MOVES:
            total.add(self.rows[name])
        return total

    def sound(self, part: str = "") -> bool:
        """Whether what was measured, of a part only, is as it has to be, however much it was."""
        account = self.moved().account
        kills_seen = self.rows[CONTROL].account.losses > 0 or part not in ("", KILLS)
        return not account.losses and account.agrees and not account.unsticky and kills_seen

    def keep(self, folder: Path, part: str) -> None:
        """Write it down as a part."""
        rows = {name: {"account": row.account.as_data(), "switches": row.switches} for name, row in self.rows.items()}
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"rows": rows, "rivals": self.rivals, "seconds": self.seconds})
        # Whole or not at all: a part that is half written is none.
        (folder / f"{part}.new").write_text(text)
        (folder / f"{part}.new").rename(folder / f"{part}.json")

    @classmethod
    def kept(cls, folder: Path) -> tuple[Self, list[str]]:
        """Return the sum of all parts that were written down, and the names of those that were not."""
        total, missing = cls(), []
        for part in PARTS:
            path = folder / f"{part}.json"
            if not path.exists():
                missing.append(part)
                continue
            data = json.loads(path.read_text())
            rows = {name: Row(Account.of_data(row["account"]), row["switches"]) for name, row in data["rows"].items()}
            total.add(cls(rows, data["rivals"], data["seconds"]))
        return total, missing


def move(**variables: object) -> None:
    """Move the public as moves.yml does; ends the program when that fails."""
    playbook(HERE / "moves.yml", "-e", json.dumps({"zeroloss_moves": 3, **variables}))


def segment(
    staging: Environment, row: Row, seconds: float, act: Callable[[OpenLoop], None], often: bool = True
) -> OpenLoop:
    """Load staging for so long while something is done, once or again and again; add it to a row."""
    epoch = staging.state()["epoch"]
    with OpenLoop(staging, mix(RATE), seconds) as load:
        end = time.monotonic() + seconds - LAST_MOVE
        act(load)
        while often and time.monotonic() < end:
            act(load)
    row.account.add(load.account())
    row.switches += staging.state()["epoch"] - epoch
    return load


def kill_edge(staging: Environment) -> None:
    """Kill all of HAProxy on the active edge host; start it when the other one serves."""
    edge = staging.active_edge()
    folder = "/run/systemd/system/haproxy.service.d"
    staging.ssh(
        edge,
        f"mkdir -p {folder}; printf '[Service]\\nRestart=no\\n' > {folder}/zeroloss.conf; systemctl daemon-reload\n"
        "systemctl kill --signal=KILL haproxy.service",
    )
    try:
        until(lambda: staging.active_edge() != edge, 60, "the other edge host serves")
    finally:
        staging.ssh(
            edge,
            f"rm -f {folder}/zeroloss.conf; systemctl daemon-reload; systemctl reset-failed haproxy.service\n"
            "systemctl start haproxy.service",
        )
    until(lambda: staging.ssh(edge, "greenroom-edge check", check=False).returncode == 0, 60, f"{edge} is in force")


def kill_old_slot(staging: Environment) -> None:
    """Cut over, and kill what the public has just left: in-flight requests die with it."""
    old = staging.live()
    move(zeroloss_moves=1)
    assert staging.live() == other(old)
    for host in staging.groups["app"]:
        staging.ssh(host, f"podman kill --signal KILL portal-{old}")


def ready(staging: Environment) -> None:
    """Bring both slots up: the live one, and beside it the one that a release change left behind."""
    staging.converge("-e", "release_name=1.1")
    idle = staging.idle()
    for host in staging.groups["app"]:
        staging.ssh(host, f"systemctl start portal-{idle}.service kratos-{idle}.service")
    wait_ready(staging, idle)


def measure_moves(staging: Environment, found: Measured, enough: Callable[[int], bool]) -> None:
    """Make rounds of all moves until there were enough, which is asked with how many there were."""

    def steps(load: OpenLoop) -> None:
        with load.rising(staging.idle()):
            move(**MOVES[STEPS])

    done = 0
    while not enough(done):
        for name, variables in MOVES.items():
            act = steps if name == STEPS else lambda _, variables=variables: move(**variables)
            segment(staging, found.rows[name], SECONDS, act)
            say(f"{name}: {found.rows[name].switches} switches, {found.rows[name].account.line()}")
        done += 1


def measure_kills(staging: Environment, found: Measured) -> None:
    """Kill edge hosts, then a slot."""
    for _ in range(2):
        segment(staging, found.rows[FAILOVER], FAILOVER_SECONDS, lambda _: kill_edge(staging), often=False)
        say(f"{FAILOVER}: {found.rows[FAILOVER].account.line()}")
    segment(staging, found.rows[CONTROL], CONTROL_SECONDS, lambda _: kill_old_slot(staging), often=False)
    say(f"{CONTROL}: {found.rows[CONTROL].account.line()}")


def measure(part: str, rounds: int, requests: int, switches: int) -> Measured:
    """Measure one part, or all: so many rounds of all moves or, with 0, until there were enough; then the rest."""
    found = Measured()
    began = time.monotonic()

    def enough(done: int) -> bool:
        if part or rounds:
            return done >= (rounds or 1)
        moved = found.moved()
        return moved.account.sent >= requests and moved.switches >= switches

    staging = Environment(say=say)
    ready(staging)
    try:
        if part != KILLS:
            measure_moves(staging, found, enough)
        if part in ("", KILLS):
            measure_kills(staging, found)
    finally:
        staging.converge()
    if part in ("", KILLS):
        found.rivals = compare()
    found.seconds = time.monotonic() - began
    return found


def outcomes(account: Account) -> str:
    """Say what was lost, and how."""
    kinds = ", ".join(f"{count} {outcome}" for outcome, count in account.lost.most_common())
    return f"{account.losses} ({kinds})" if kinds else "0"


def write(found: Measured, requests: int, switches: int) -> bool:
    """Write README.md, print its table, and return whether the aim was met."""
    rows, total = found.rows, found.moved()
    account = total.account
    met = found.sound() and account.sent >= requests and total.switches >= switches
    result = table(
        ["while", "requests", "switches", "lost", "the books agree"],
        (
            [
                name,
                f"{row.account.sent:,}",
                str(row.switches) if row.switches else "-",
                outcomes(row.account),
                "yes" if row.account.agrees else "no",
            ]
            for name, row in rows.items()
        ),
    )
    matrix = table(
        ["kind", *rows],
        (
            [kind, *(f"{row.account.kinds_lost[kind]} of {row.account.kinds[kind]:,}" for row in rows.values())]
            for kind in (*MATRIX, "ws-10000")
        ),
    )
    print(result)
    (HERE / "README.md").write_text(
        README.format(
            wanted=requests,
            wanted_switches=switches,
            result=result,
            sent=account.sent,
            switches=total.switches,
            lost=account.losses,
            bound=bound(account.sent, account.losses),
            verdict=verdict(met),
            visitors=VISITORS,
            unsticky=len(account.unsticky) or "none",
            failover=FAILOVER,
            control=CONTROL,
            matrix=matrix,
            rivals=found.rivals,
            machine=machine(),
            rate=RATE,
            minutes=found.seconds / 60,
        )
    )
    return met


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=0, help="so many rounds of all moves; 0: until there were enough")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--switches", type=int, default=SWITCHES)
    parser.add_argument("--part", choices=PARTS, default="", help="only this part; needs --kept")
    parser.add_argument("--kept", type=Path, help="the folder that keeps what parts have counted")
    options = parser.parse_args()
    if bool(options.part) != bool(options.kept):
        parser.error("--part and --kept go together")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    found = measure(options.part, options.rounds, options.requests, options.switches)
    missing: list[str] = []
    if options.part:
        found.keep(options.kept, options.part)
        if not found.sound(options.part):
            sys.exit(f"{options.part}: requests were lost, or the books do not agree: see above.")
        found, missing = Measured.kept(options.kept)
    if missing:
        say(f"parts that are missing for the table: {', '.join(missing)}")
    elif not write(found, options.requests, options.switches):
        if options.part and not found.sound():
            say("the aim was missed by what another part had counted: see the table")
        else:
            sys.exit("The aim was missed: see the table.")


if __name__ == "__main__":
    main()
