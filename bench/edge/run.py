# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures the latency that the edge's map, canary weight and limits add.

    make bench-edge [ROUNDS=4]

On the edge host without the shared address, two more HAProxy processes run on loopback: one with the host's own
configuration during a canary, one with a plain configuration for the same TLS and backend. A client on the same host
sends requests to them in turn, so other work on the host affects both. Writes bench/edge/README.md.
"""

from __future__ import annotations

import argparse
import random
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.common import answer, machine, say, table, verdict
from bench.edge.configure import full, plain
from tests.real.environment import Environment

HERE = Path(__file__).resolve().parent
FOLDER = "/run/greenroom-edge-bench"
PORTS = {"greenroom": 18501, "plain": 18502}
PAIRS = {"kept connection": 20_000, "new connection": 3_000}
"""Pairs of requests per round."""
SHARE = 25
AIM = 1.05
README = """\
# Latency that the edge adds

Goal: with map, canary weight and limits, the p99 of responses is within 5 % of that of a plain HAProxy configuration.

{result}

Verdict: {verdict}. The ratio is that of both p99, with its 95 % confidence interval (bootstrap over pairs).

Measured on {machine}, with the lab's hosts on the same machine.
To repeat this, with staging converged and both slots up (about {minutes:.0f} minutes):

    make bench-edge

Both are separate HAProxy processes on loopback of one edge host. A client requests the portal's /ping from each in
turn. One has the edge's real configuration: {share} % of the clients go to the candidate, all limits count, and the
password and all headers are in use. The other has the same TLS, timeouts, health checks and servers (with weights that
divide the requests in the same way), and only `default_backend`.
"""


@dataclass
class Times:
    """Response times in microseconds by server, as pairs."""

    greenroom: list[int] = field(default_factory=list)
    plain: list[int] = field(default_factory=list)

    def ratio(self) -> float:
        """Return the ratio of the edge's p99 to the plain one."""
        return quantile(self.greenroom, 0.99) / quantile(self.plain, 0.99)

    def interval(self, times: int = 200) -> tuple[float, float]:
        """Return the 95 % confidence interval of the ratio (bootstrap)."""
        chance, found = random.Random(1), []
        pairs = list(zip(self.greenroom, self.plain, strict=True))
        for _ in range(times):
            drawn = chance.choices(pairs, k=len(pairs))
            found.append(Times([pair[0] for pair in drawn], [pair[1] for pair in drawn]).ratio())
        return quantile(found, 0.025), quantile(found, 0.975)


def quantile[Number: (int, float)](values: Sequence[Number], share: float) -> Number:
    """Return a quantile, such as the median for a share of 0.5."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def start(staging: Environment, edge: str) -> None:
    """Start both servers on an edge host, with the map of a canary."""
    live, idle = staging.live(), staging.idle()
    names = ("haproxy.cfg", *(f"slots/{slot}.cfg" for slot in (live, idle)))
    read = {name: staging.ssh(edge, f"cat /etc/haproxy/{name}").stdout for name in names}
    slots = {live: (read[f"slots/{live}.cfg"], 100 - SHARE), idle: (read[f"slots/{idle}.cfg"], SHARE)}
    files = {
        "full.cfg": full(read["haproxy.cfg"], FOLDER, PORTS["greenroom"]),
        "plain.cfg": plain(read["haproxy.cfg"], slots, "portal_http", FOLDER, PORTS["plain"]),
        "live.map": f"{staging.name} 1:{live}:{idle}:{SHARE}\n",
    }
    script = [f"rm -rf {FOLDER}; mkdir -p {FOLDER}"]
    script += [f"printf %s {shlex.quote(content)} > {FOLDER}/{name}" for name, content in files.items()]
    for name, more in (("full", "-f /etc/haproxy/slots"), ("plain", "")):
        script.append(f"haproxy -D -p {FOLDER}/{name}.pid -C /etc/haproxy -f {FOLDER}/{name}.cfg {more}")
    # Health checks run once per second.
    staging.ssh(edge, "set -e\n" + "\n".join([*script, "sleep 3"]))


def stop(staging: Environment, edge: str) -> None:
    """Stop both servers and remove their files."""
    staging.ssh(edge, f"cat {FOLDER}/*.pid | xargs -r kill; rm -rf {FOLDER}", check=False)


def ask(staging: Environment, edge: str, pairs: int, keep: bool) -> Times:
    """Run the client on an edge host."""
    settings = {
        "ports": PORTS,
        "public_name": staging.public_name,
        "ca": "/etc/greenroom/ca.crt",
        "authorization": staging.authorization(),
        "path": "/ping",
        "pairs": pairs,
        "keep": keep,
    }
    staging.ssh(edge, f"cat > {FOLDER}/compare.py <<'END'\n{(HERE / 'compare.py').read_text()}\nEND\n")
    command = staging.ssh_command(edge, f"sudo python3 -I {FOLDER}/compare.py")
    return Times(**answer(command, settings, f"The client failed on {edge}"))


def write(found: dict[str, Times], seconds: float) -> bool:
    """Write README.md, print its table, and return whether the goal was met."""
    rows = []
    for name, times in found.items():
        low, high = times.interval()
        ms = [
            f"{quantile(values, share) / 1000:.2f} ms"
            for share in (0.5, 0.99)
            for values in (times.plain, times.greenroom)
        ]
        rows.append([name, str(len(times.plain)), *ms, f"{times.ratio():.3f} ({low:.3f} to {high:.3f})"])
    head = ["request on a", "pairs", "p50 plain", "p50 Greenroom", "p99 plain", "p99 Greenroom", "ratio of p99"]
    result = table(head, rows)
    met = all(times.ratio() <= AIM for times in found.values())
    print(result)
    (HERE / "README.md").write_text(
        README.format(result=result, verdict=verdict(met), machine=machine(), minutes=seconds / 60 + 1, share=SHARE)
    )
    return met


def main() -> None:
    """Run the benchmark and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    began = time.monotonic()
    staging = Environment(say=say)
    edge = next(iter(set(staging.edges) - {staging.active_edge()}), staging.edges[0])
    found = {name: Times() for name in PAIRS}
    start(staging, edge)
    try:
        for number in range(options.rounds):
            for name, pairs in PAIRS.items():
                times = ask(staging, edge, pairs, name == "kept connection")
                found[name].greenroom += times.greenroom
                found[name].plain += times.plain
                say(f"round {number + 1}, {name}: ratio of p99 {times.ratio():.3f}")
    finally:
        stop(staging, edge)
    if not write(found, time.monotonic() - began):
        sys.exit("The goal was missed: see the table.")


if __name__ == "__main__":
    main()
