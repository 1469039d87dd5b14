# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Counts the requests that are lost during cutovers, canaries and rollbacks on staging.

    make bench-zeroloss [ROUNDS=1]        or, in parts of half an hour or less:        make proof-zeroloss

The ops host sends open-loop load of all kinds at once, without retries and with an ID in each request. Meanwhile, the
module moves public traffic as the playbooks do. Afterwards, the client's results are compared with the backends' logs.
Rounds continue until there are enough requests and switches, or for the number given. Then edge hosts are killed and,
to prove that losses are detected, a slot without drain. Last, other ways are measured on this machine's loopback.
Writes bench/zeroloss/README.md.

A part (`--part moves-1 --kept FOLDER`) saves its results in a folder. The last part adds up all results and writes the
page. A part that runs again replaces its results.
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
"""Seconds before the end of the load in which no move starts."""
STEPS = "canary steps"
MOVES: dict[str, dict[str, object]] = {
    "cutover": {},
    STEPS: {"zeroloss_shares": [5, 25, 50, 100], "zeroloss_moves": 1},
    "rollback": {"zeroloss_roll_back": True},
    "reload during a switch": {"zeroloss_reload": True},
}
REQUESTS, SWITCHES = 1_000_000, 200
KILLS = "kills"
PARTS = (*(f"moves-{number + 1}" for number in range(math.ceil(REQUESTS / (RATE * SECONDS * len(MOVES))))), KILLS)
"""Enough rounds of all moves, then kills and the comparison with other ways."""
FAILOVER = "edge host killed"
CONTROL = "control: killed without drain"
README = """\
# Requests lost during cutovers

Goal: none of {wanted:,} requests, with at least {wanted_switches} switches.

{result}

Without the last two rows: **{sent:,} requests, {switches:,} switches, lost {lost}**{bound} ({verdict}).
If none of N requests is lost, the true rate is below 3/N with 95 % confidence.

- A switch is one that all edge hosts made: a change of the live slot, or of the candidate's weight.
- A request is lost if it was refused, reset, closed without a response, truncated, had no response within 60 s, or got
  a 5xx or a response with another ID than its own. A WebSocket is lost if it was closed before the client closed it.
  No request is repeated.
- The logs agree if each request with a response is exactly once in a backend's log, with the slot that the response
  names, and the logs have no other requests.
- While weights grew, {visitors} clients kept the edge's cookie; {unsticky} of them were moved back to the live slot.
- "{failover}": HAProxy on the active edge host is killed with all its processes. The row counts the requests that
  were open then, and those that came until the other host took the address.
- "{control}": the previous slot's processes are killed right after a cutover. If this row had no
  losses, the others would prove nothing.

## By kind of request

Lost of sent. `h1`, `h2`: HTTP/1.1, HTTP/2. `keep`: on a kept-alive connection, `new`: on a new one. The number is the
response time in ms; a WebSocket stays open for that time, and sends an echo twice per second.

{matrix}
{rivals}
Measured on {machine}, with the lab's hosts on the same machine, at {rate:.0f} requests a second.
To repeat this, with staging converged (about {minutes:.0f} minutes):

    make bench-zeroloss

Or run one part (`make proof-zeroloss-moves-1`), or all missing parts:

    make proof-zeroloss
"""


@dataclass
class Row:
    """The result of one kind of move."""

    account: Account = field(default_factory=Account)
    switches: int = 0

    def add(self, other: Row) -> None:
        """Add another result."""
        self.account.add(other.account)
        self.switches += other.switches


@dataclass
class Measured:
    """The results of all parts or one: rows by name, the table of other ways, duration in seconds."""

    rows: dict[str, Row] = field(default_factory=lambda: {name: Row() for name in (*MOVES, FAILOVER, CONTROL)})
    rivals: str = ""
    seconds: float = 0.0

    def add(self, other: Measured) -> None:
        """Add another part."""
        for name, row in self.rows.items():
            row.add(other.rows[name])
        self.rivals = self.rivals or other.rivals
        self.seconds += other.seconds

    def moved(self) -> Row:
        """Return the sum of the rows that must not have losses."""
        total = Row()
        for name in MOVES:
            total.add(self.rows[name])
        return total

    def sound(self, part: str = "") -> bool:
        """Whether the results (of one part, if named) have no errors, whatever their amount."""
        account = self.moved().account
        kills_seen = self.rows[CONTROL].account.losses > 0 or part not in ("", KILLS)
        return not account.losses and account.agrees and not account.unsticky and kills_seen

    def keep(self, folder: Path, part: str) -> None:
        """Save the results of a part."""
        rows = {name: {"account": row.account.as_data(), "switches": row.switches} for name, row in self.rows.items()}
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"rows": rows, "rivals": self.rivals, "seconds": self.seconds})
        # Atomic: an incomplete file must not count as a part.
        (folder / f"{part}.new").write_text(text)
        (folder / f"{part}.new").rename(folder / f"{part}.json")

    @classmethod
    def kept(cls, folder: Path) -> tuple[Self, list[str]]:
        """Return the sum of all saved parts, and the names of missing ones."""
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
    """Move public traffic with moves.yml. Exits if that fails."""
    playbook(HERE / "moves.yml", "-e", json.dumps({"zeroloss_moves": 3, **variables}))


def segment(
    staging: Environment, row: Row, seconds: float, act: Callable[[OpenLoop], None], often: bool = True
) -> OpenLoop:
    """Load staging for `seconds` while `act` runs, once or repeatedly; add the result to a row."""
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
    """Kill HAProxy on the active edge host with all its processes; start it when the other host serves."""
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
    until(lambda: staging.ssh(edge, "greenroom-edge check", check=False).returncode == 0, 60, f"{edge} in effect")


def kill_old_slot(staging: Environment) -> None:
    """Cut over, and kill the previous slot, with its open requests."""
    old = staging.live()
    move(zeroloss_moves=1)
    assert staging.live() == other(old)
    for host in staging.groups["app"]:
        staging.ssh(host, f"podman kill --signal KILL portal-{old}")


def ready(staging: Environment) -> None:
    """Start both slots: deploy a release, and start the idle slot."""
    staging.converge("-e", "release_name=1.1")
    idle = staging.idle()
    for host in staging.groups["app"]:
        staging.ssh(host, f"systemctl start portal-{idle}.service kratos-{idle}.service")
    wait_ready(staging, idle)


def measure_moves(staging: Environment, found: Measured, enough: Callable[[int], bool]) -> None:
    """Run rounds of all moves until `enough`, called with the number of rounds, returns true."""

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
    """Measure one part, or all: `rounds` rounds of all moves (with 0, until there are enough), then the rest."""
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
    """Format the number of lost requests, by outcome."""
    kinds = ", ".join(f"{count} {outcome}" for outcome, count in account.lost.most_common())
    return f"{account.losses} ({kinds})" if kinds else "0"


def write(found: Measured, requests: int, switches: int) -> bool:
    """Write README.md, print its table, and return whether the goal was met."""
    rows, total = found.rows, found.moved()
    account = total.account
    met = found.sound() and account.sent >= requests and total.switches >= switches
    result = table(
        ["during", "requests", "switches", "lost", "logs agree"],
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
    """Run the benchmark and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=0, help="rounds of all moves; 0: until there are enough")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--switches", type=int, default=SWITCHES)
    parser.add_argument("--part", choices=PARTS, default="", help="run only this part; needs --kept")
    parser.add_argument("--kept", type=Path, help="the folder with the results of parts")
    options = parser.parse_args()
    if bool(options.part) != bool(options.kept):
        parser.error("--part needs --kept, and --kept needs --part")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    found = measure(options.part, options.rounds, options.requests, options.switches)
    missing: list[str] = []
    if options.part:
        found.keep(options.kept, options.part)
        if not found.sound(options.part):
            sys.exit(f"{options.part}: requests were lost, or the logs disagree: see above.")
        found, missing = Measured.kept(options.kept)
    if missing:
        say(f"parts that are missing for the table: {', '.join(missing)}")
    elif not write(found, options.requests, options.switches):
        if options.part and not found.sound():
            say("another part missed the goal: see the table")
        else:
            sys.exit("The goal was missed: see the table.")


if __name__ == "__main__":
    main()
