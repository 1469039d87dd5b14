"""With an egress guard, nothing leaves staging but what is listed, from every host and container."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import Environment, Probe, until

GUARD = ("-i", "bench/egress/guard")
UNITS = "ls /etc/systemd/system/greenroom-egress* /etc/greenroom/egress*; pgrep --exact dnsmasq; true"
# Asks the guard's DNS server and the guard itself for a name that isn't listed: both must say no.
ANSWERS = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
    names.settimeout(2)
    names.connect(("192.0.2.53", 53))
    names.send(bytes.fromhex("4d4d01000001000000000000056f7468657204746573740000010001"))
    assert names.recv(512)[3] & 15 == 3
with socket.create_connection(("192.0.2.66", 80), 2) as guard:
    guard.sendall(b"GET / HTTP/1.1\\r\\nHost: other.test\\r\\n\\r\\n")
    assert guard.recv(99).startswith(b"HTTP/1.1 403 ")
"""


COUNT = """
systemctl start greenroom-egress-metrics
sed -n 's/^greenroom_egress_names_refused_total //p' /var/lib/prometheus/node-exporter/greenroom-egress.prom
"""


@pytest.fixture(scope="module")
def guarded(staging: Environment) -> Iterator[Environment]:
    """Staging with a guard, which is gone afterwards."""
    staging.converge(*GUARD)
    yield staging
    staging.converge()
    assert staging.ask("ops1", UNITS).stdout == ""


def test_nothing_leaves_but_what_is_listed(guarded: Environment, tmp_path: Path) -> None:
    options = ("-e", f"egress_proof_report={tmp_path}", "-e", "egress_proof_open=true")
    run = guarded.play("playbooks/guard.yml", *GUARD, *options)
    assert run.code == 0, run.output
    found = json.loads((tmp_path / "guard.json").read_text())
    places = [place["name"].split(": ") for place in found["places"]]
    assert {host for host, _place in places} == set(guarded.hosts)
    assert {place for _host, place in places} >= {"root", "nobody", "portal", "portal-worker", "one-off container"}
    assert all(route["arrived"] == {"guarded": 0, "open": route["tried"]} for route in found["routes"])
    # The hosts are as before.
    run = guarded.play("site.yml", *GUARD)
    assert run.quiet, run.output


def test_a_killed_guard_comes_back_and_visitors_notice_nothing(guarded: Environment) -> None:
    before = int(guarded.ask("ops1", COUNT).stdout)
    with Probe(guarded) as probe:
        guarded.ask("ops1", "systemctl kill --signal=KILL greenroom-egress greenroom-egress-dns")

        def answers() -> bool:
            return guarded.ask("app1", f"python3 - <<'END'\n{ANSWERS}\nEND\n", check=False).returncode == 0

        until(answers, 60, "the guard and its DNS server answer")
    assert probe.failures == []
    assert probe.asked > 0
    # The name that isn't listed was counted for the monitoring.
    assert int(guarded.ask("ops1", COUNT).stdout) > before
