# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures what the edge's map, canary share and limits add to an answer's time.

    make bench-edge [ROUNDS=4]

On the edge host that does not serve at the moment, two further HAProxys run on loopback: one with the host's own
configuration while a canary has its share, one with a plain configuration for the same TLS and backend. A client on the
same host asks them in turn, so that what disturbs one disturbs the other. Writes bench/edge/README.md.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.common import machine, say, table, verdict
from bench.edge.configure import full, plain
from tests.real.environment import Environment

HERE = Path(__file__).resolve().parent
FOLDER = "/run/greenroom-edge-bench"
PORTS = {"greenroom": 18501, "plain": 18502}
PAIRS = {"kept connection": 20_000, "new connection": 3_000}
"""Pairs of requests in a round."""
SHARE = 25
AIM = 1.05
README = """\
# What the edge adds to an answer's time

Wanted: with map, canary share and limits, the p99 of answers is within 5 % of a plain HAProxy configuration's.

{result}

Verdict: {verdict}. The ratio is of both p99; behind it, where 95 % of such measurements lie (bootstrap over pairs).

Measured on {machine}, with the lab's hosts on the same machine.
Again, with staging converged and both slots up (about {minutes:.0f} minutes):

    make bench-edge

Both are HAProxys of their own on loopback of one edge host, asked in turn for the portal's /ping: the edge's real
configuration with {share} % of the people sent to the other slot, all limits counted, the password and all headers; and
the same TLS, time limits, health checks and servers (with weights that share the requests alike) and no more than
`default_backend`.
"""


@dataclass
class Times:
    """Microseconds by server, as pairs."""

    greenroom: list[int] = field(default_factory=list)
    plain: list[int] = field(default_factory=list)

    def ratio(self) -> float:
        """How much longer the edge's p99 is."""
        return quantile(self.greenroom, 0.99) / quantile(self.plain, 0.99)

    def interval(self, times: int = 200) -> tuple[float, float]:
        """Return where 95 % of the ratios lie when pairs are drawn anew."""
        chance, found = random.Random(1), []
        pairs = list(zip(self.greenroom, self.plain, strict=True))
        for _ in range(times):
            drawn = chance.choices(pairs, k=len(pairs))
            found.append(Times([pair[0] for pair in drawn], [pair[1] for pair in drawn]).ratio())
        return quantile(found, 0.025), quantile(found, 0.975)


def quantile[Number: (int, float)](values: Sequence[Number], share: float) -> Number:
    """Return the value that a share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def start(staging: Environment, edge: str) -> None:
    """Start both servers on an edge host, the canary with its share."""
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
    # The health checks of both take a second.
    staging.ssh(edge, "set -e\n" + "\n".join([*script, "sleep 3"]))


def stop(staging: Environment, edge: str) -> None:
    """End both servers, and leave nothing behind."""
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
    done = subprocess.run(
        staging.ssh_command(edge, f"sudo python3 -I {FOLDER}/compare.py"),
        input=json.dumps(settings),
        check=False,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    if done.returncode:
        sys.exit(f"The client failed on {edge}:\n{done.stderr}")
    return Times(**json.loads(done.stdout))


def write(found: dict[str, Times], seconds: float) -> bool:
    """Write README.md, print its table, and return whether the aim was met."""
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
    """Measure and write the table."""
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
        sys.exit("The aim was missed: see the table.")


if __name__ == "__main__":
    main()
