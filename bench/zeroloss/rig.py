# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs load on a lab environment from its ops host, and reads the backends' logs of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from bench.zeroloss.reconcile import Account, Rise, logged, reconcile

OPS = "ops1"
UNIT = "greenroom-zeroloss"
FOLDER = "/run/greenroom-zeroloss"
MATRIX = [
    f"{protocol}-{connection}-{method}-{ms}"
    for protocol in ("h1", "h2")
    for connection in ("keep", "new")
    for method in ("get", "post")
    for ms in (0, 300, 10_000)
]
"""All kinds of HTTP requests. WebSockets that stay open for 10 s are in addition."""
SHARES = {0: 0.85, 300: 0.12, 10_000: 0.02}
"""Fraction of all requests by response time in ms; the rest are WebSockets."""
NEW = 0.15
"""Fraction of HTTP requests on a new connection: each costs as much as ten others, for the handshake."""
TIMEOUT_SECONDS = 60
"""Timeout of a response. It is long because the lab's hosts share one machine."""
VISITORS = 200
"""Number of clients that keep the edge's cookie. Requests on a new connection have no cookie."""
IMAGE = "sed -n 's/^Image=//p' /etc/containers/systemd/greenroom-simulation.container"

READY = """\
python3 - <<'END'
import sys, time, urllib.request
end = time.monotonic() + 90
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:{port}/readyz", timeout=5).close()
        break
    except OSError as error:
        if time.monotonic() > end:
            sys.exit(str(error))
    time.sleep(0.3)
END
# The edge checks once per second.
sleep 2
"""
"""Waits until a host's portal is ready and the edge has noticed."""


class Site(Protocol):
    """The part of an environment that this module needs."""

    groups: dict[str, dict[str, str]]
    public_name: str
    address: str
    say: Callable[[str], None]

    def ssh(self, host: str, script: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a shell script on a host as root."""

    def password(self, name: str) -> str:
        """Return a password of the environment."""


def mix(rate: float) -> dict[str, float]:
    """Divide a rate (requests per second) among all kinds."""
    found = {}
    for kind in MATRIX:
        _, connection, _, ms = kind.split("-")
        # Each exists for two protocols and two methods.
        found[kind] = rate * SHARES[int(ms)] * (NEW if connection == "new" else 1 - NEW) / 4
    found["ws-10000"] = rate * (1 - sum(SHARES.values()))
    return found


def wait_ready(site: Site, slot: str) -> None:
    """Wait until a slot's portals are ready on all hosts."""
    for host in site.groups["app"]:
        site.ssh(host, READY.format(port={"blue": 18080, "green": 28080}[slot]))


def cut(run: str) -> str:
    """Return a shell command that extracts `<id> <slot>` from a portal's log, which can have tens of megabytes."""
    slot, name = r'"slot": "\([a-z]*\)"', rf'"load_id": "\({run}-[^"]*\)"'
    return rf"sed -n 's/.*{slot}.*{name}.*/\2 \1/p'"


class OpenLoop:
    """One load, as a context manager. Leaving it waits for the load's end, or stops it after an exception."""

    def __init__(self, site: Site, rates: Mapping[str, float], seconds: float, visitors: int = VISITORS) -> None:
        self.site = site
        self.rates = rates
        self.visitors = visitors
        self.seconds = seconds
        self.run = f"zeroloss-{uuid.uuid4().hex[:8]}"
        self.summary: dict[str, Any] = {}
        self.began: dict[str, int] = {}
        self.lines: list[str] = []
        self.rises: list[Rise] = []

    def __enter__(self) -> Self:
        """Start the load, and wait for its first responses."""
        self.began = {host: int(self.site.ssh(host, "date +%s").stdout) - 1 for host in self.site.groups["app"]}
        kinds = " ".join(f"--kind {name}={rate:.4f}" for name, rate in self.rates.items())
        # The password is in the script, which ssh reads from standard input, so no command line shows it.
        self.site.ssh(
            OPS,
            f"""\
set -eu
image=$({IMAGE})
rm -rf {FOLDER}
install -d -m 0700 {FOLDER}
install -d -m 0700 -o 1000 -g 1000 {FOLDER}/reports
(umask 077; cat > {FOLDER}/environment) <<'END'
VISITORS_EDGE_PASSWORD={self.site.password("visitor")}
END
systemctl reset-failed {UNIT}.service 2>/dev/null || true
systemd-run --quiet --collect --unit={UNIT} -p RuntimeMaxSec={self.seconds + 180:.0f} \
  -p TimeoutStopSec=90 -p KillMode=mixed -p Nice=-10 -E REGISTRY_AUTH_FILE=/etc/containers/auth.json \
  podman run --rm --replace --name {UNIT} --network host --user 1000 --cap-drop all --read-only --tmpfs /tmp \
  --stop-timeout 75 --log-driver none --ulimit nofile=16384:16384 --env-file {FOLDER}/environment \
  -v /etc/greenroom/ca.crt:/etc/greenroom/ca.crt:ro -v {FOLDER}/reports:/reports "$image" openloop \
  --url https://{self.site.public_name} --connect {self.site.address} --ca-file /etc/greenroom/ca.crt --user visitor \
  --run {self.run} --seconds {self.seconds} {kinds} --visitors {self.visitors} --reports /reports \
  --timeout {TIMEOUT_SECONDS} --finish {TIMEOUT_SECONDS}
for try in $(seq 200); do
  test ! -s {FOLDER}/reports/requests.jsonl || exit 0
  systemctl is-active --quiet {UNIT} || break
  sleep 0.3
done
journalctl -u {UNIT} -n 20 -o cat
exit 1
""",
        )
        return self

    def running(self) -> bool:
        """Whether it still sends requests or waits for responses."""
        active: str = self.site.ssh(OPS, f"systemctl is-active {UNIT}.service || true").stdout
        return active.strip() in ("active", "deactivating", "activating")

    def sent(self) -> int:
        """Return the number of ended requests so far."""
        return int(self.site.ssh(OPS, f"wc -l < {FOLDER}/reports/requests.jsonl").stdout)

    @contextlib.contextmanager
    def rising(self, candidate: str) -> Iterator[None]:
        """Record that the candidate's weight only grows meanwhile. The lab's hosts have this machine's clock."""
        began = time.time()
        yield
        self.rises.append(Rise(began, time.time(), candidate))

    def end(self) -> None:
        """Stop sending requests."""
        self.site.ssh(OPS, f"systemctl stop --no-block {UNIT}.service || true")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for its end, and fetch its results."""
        if error:
            self.end()
        limit = time.monotonic() + self.seconds + 180
        while self.running() and time.monotonic() < limit:
            time.sleep(0.5)
        try:
            self.summary = json.loads(self.site.ssh(OPS, f"cat {FOLDER}/reports/summary.json").stdout)
            self.lines = self.site.ssh(OPS, f"cat {FOLDER}/reports/requests.jsonl").stdout.splitlines()
        finally:
            self.site.ssh(OPS, f"rm -rf {FOLDER}; systemctl stop {UNIT}.service 2>/dev/null || true")

    def done(self) -> dict[str, list[str]]:
        """Return the backends' logs of this load: {request ID: slots that handled it}."""
        return logged(line for host, since in self.began.items() for line in self._journal(host, since))

    def _journal(self, host: str, since: int) -> Iterable[str]:
        units = "-u portal-blue.service -u portal-green.service"
        script = f"journalctl {units} --since @{since} -o cat --no-pager | {cut(self.run)}"
        return str(self.site.ssh(host, script).stdout).splitlines()

    def account(self, timeout: float = 60) -> Account:
        """Compare this load's results with the backends' logs, once these are in the journals."""
        limit = time.monotonic() + timeout
        while True:
            account = reconcile(self.lines, self.done(), self.rises)
            if account.agrees or time.monotonic() > limit:
                self.site.say(f"load: {account.line()}")
                return account
            time.sleep(1)
