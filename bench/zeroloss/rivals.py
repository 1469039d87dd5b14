# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compares Greenroom's cutover with other ways under the same load, on this machine's loopback.

    python3 -m bench.zeroloss.rivals

Two portals act as slots. HAProxy and nginx are Debian 13's, in a folder that mmdebstrap builds once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.common import CACHE, ROOT, free_port, say, table
from bench.zeroloss.reconcile import Account, reconcile
from bench.zeroloss.rig import TIMEOUT_SECONDS, mix

PROGRAMS = CACHE / "rivals"
SUITE = "trixie"
PACKAGES = "haproxy,nginx-light"
NAME = "portal.test"
PORT, PORTS = 18443, {"blue": 18181, "green": 18182}
RATE, SECONDS, SWITCHES = 60.0, 60.0, 8
HAPROXY = """\
global
    stats socket {folder}/admin.sock mode 660 level admin
    hard-stop-after 10m
defaults
    mode http
    option idle-close-on-response
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    timeout tunnel 1h
frontend public
    bind 127.0.0.1:{port} ssl crt {folder}/edge.pem alpn h2,http/1.1
    {rule}
backend blue
    server blue 127.0.0.1:{blue}
backend green
    server green 127.0.0.1:{green}
"""
BY_MAP = """\
http-request set-var(txn.switch) str(test),map({folder}/live.map)
    use_backend %[var(txn.switch),field(2,:)]"""
NGINX = """\
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
worker_processes auto;
events {{ worker_connections 2000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    keepalive_requests 1000000;
    map $http_upgrade $upgrade_or_not {{ default upgrade; '' ''; }}
    include {folder}/current.conf;
    server {{
        listen 127.0.0.1:{port} ssl;
        http2 on;
        ssl_certificate {folder}/edge.pem;
        ssl_certificate_key {folder}/edge.pem;
        location / {{
            proxy_pass http://portal;
            proxy_http_version 1.1;
            proxy_next_upstream off;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $upgrade_or_not;
        }}
    }}
}}
"""


@dataclass
class Bench:
    """The folder and the processes of one measurement."""

    root: Path
    folder: Path
    live: str = "blue"
    epoch: int = 1
    portals: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    logs: list[Path] = field(default_factory=list)

    def inside(self, *command: str) -> None:
        """Run a program of the Debian folder until it ends or is in the background."""
        subprocess.run(["chroot", str(self.root), *command], check=True, capture_output=True, timeout=60)

    def portal(self, slot: str, port: int) -> None:
        """Start a portal and wait until it responds."""
        log = self.folder / f"portal-{len(self.logs)}.log"
        self.logs.append(log)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(ROOT / "demo/portal"), os.environ.get("PYTHONPATH", "")]),
            "DATABASE_URL": "postgres://nobody@127.0.0.1:9/none",
            "PORTAL_CSRF_KEYS": "no form is ever sent here",
            "PORTAL_CONFIG": str(self.folder / "portal.yml"),
            "PORTAL_HOST": "127.0.0.1",
            "PORTAL_PORT": str(port),
            "PORTAL_METRICS_PORT": str(free_port()),
            "GREENROOM_SLOT": slot,
        }
        with log.open("wb") as stream:
            self.portals[slot] = subprocess.Popen([sys.executable, "-m", "portal"], stdout=stream, env=environment)
        wait(lambda: answers(port), f"the {slot} portal")

    def haproxy(self, rule: str) -> None:
        """Write HAProxy's configuration."""
        values: dict[str, Any] = {"folder": self.folder, "port": PORT, **PORTS}
        (self.folder / "haproxy.cfg").write_text(HAPROXY.format(rule=rule.format(**values), **values))

    def start_haproxy(self) -> None:
        """Start HAProxy with a master, as on an edge host."""
        at = str(self.folder)
        self.inside("haproxy", "-W", "-D", "-p", f"{at}/pid", "-S", f"{at}/master.sock", "-f", f"{at}/haproxy.cfg")

    def switch(self) -> None:
        """Switch with the module."""
        self.epoch += 1
        values = {
            "site": "test",
            "live": self.live,
            "state_file": f"{self.folder}/state.json",
            "map_file": f"{self.folder}/live.map",
            "socket": f"{self.folder}/admin.sock",
            "master_socket": f"{self.folder}/master.sock",
        }
        command = ["ansible", "localhost", "-c", "local", "-m", "bluegreen_switch", "-a", json.dumps(values)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)

    def reload_haproxy(self) -> None:
        """Write a new configuration and reload."""
        self.haproxy(f"default_backend {self.live}")
        with socket.socket(socket.AF_UNIX) as master:
            master.settimeout(30)
            master.connect(f"{self.folder}/master.sock")
            master.sendall(b"reload\n")
            answer = b"".join(iter(lambda: master.recv(65536), b""))
        assert b"Success=1" in answer, answer

    def link(self) -> None:
        """Point nginx's symlink at the live slot's file."""
        (self.folder / "next.conf").symlink_to(f"{self.live}.conf")
        os.replace(self.folder / "next.conf", self.folder / "current.conf")

    def reload_nginx(self) -> None:
        """Replace the symlink and reload."""
        self.link()
        self.inside("nginx", "-c", f"{self.folder}/nginx.conf", "-s", "reload")

    def replace(self) -> None:
        """Stop the portal with SIGTERM, and start the other one on the same port."""
        (old,) = [slot for slot in self.portals if slot != self.live]
        stop(self.portals.pop(old))
        self.portal(self.live, PORTS["blue"])


@dataclass(frozen=True)
class Rival:
    """One way to change the portal that serves."""

    name: str
    prepare: Callable[[Bench], None]
    change: Callable[[Bench], None]


def by_map(bench: Bench) -> None:
    """Start HAProxy with a map."""
    bench.switch()
    bench.haproxy(BY_MAP)
    bench.start_haproxy()


def by_configuration(bench: Bench) -> None:
    """Start HAProxy with the slot in its configuration."""
    bench.haproxy(f"default_backend {bench.live}")
    bench.start_haproxy()


def by_symlink(bench: Bench) -> None:
    """Start nginx with a symlink to the slot's configuration."""
    for slot, port in PORTS.items():
        (bench.folder / f"{slot}.conf").write_text(f"upstream portal {{ server 127.0.0.1:{port}; }}\n")
    (bench.folder / "nginx.conf").write_text(NGINX.format(folder=bench.folder, port=PORT))
    bench.link()
    bench.inside("nginx", "-c", f"{bench.folder}/nginx.conf")


def in_place(bench: Bench) -> None:
    """Start HAProxy with only one portal."""
    stop(bench.portals.pop("green"))
    by_configuration(bench)


RIVALS = [
    Rival("Greenroom: map entry, set by `bluegreen_switch`", by_map, Bench.switch),
    Rival("HAProxy: new configuration, reload", by_configuration, Bench.reload_haproxy),
    Rival("nginx: new symlink, reload", by_symlink, Bench.reload_nginx),
    Rival("behind HAProxy: service replaced in place (stop, start)", in_place, Bench.replace),
]


def answers(port: int) -> bool:
    """Whether a portal responds to its liveness check."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def wait(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait until a condition is true. Exits with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"Not within {seconds:.0f} s: {what}")
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process as systemd does: SIGTERM, then SIGKILL."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def system() -> Path:
    """Return the folder with Debian 13's programs, and build it if it doesn't exist."""
    root = PROGRAMS / SUITE
    if not root.exists():
        say("building a Debian folder with HAProxy and nginx")
        PROGRAMS.mkdir(parents=True, exist_ok=True)
        draft = PROGRAMS / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(draft)]
        subprocess.run(command, check=True, timeout=900)
        # With this link, a path is the same inside and outside.
        inside = Path(f"{draft}{root}")
        inside.parent.mkdir(parents=True)
        inside.symlink_to("/")
        draft.rename(root)
    return root


@contextlib.contextmanager
def bench(root: Path) -> Iterator[Bench]:
    """Yield a folder with a certificate and two portals; stop all its processes at the end."""
    (root / "srv").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root / "srv"))
    folder.chmod(0o755)
    found = Bench(root, folder)
    try:
        (folder / "portal.yml").write_text("features: {test_endpoints: true}\n")
        subject = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", "2"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{folder}/key.pem"]
        command = ["openssl", "req", "-x509", *key, "-out", f"{folder}/ca.crt", *subject]
        subprocess.run(command, check=True, capture_output=True)
        (folder / "edge.pem").write_text((folder / "ca.crt").read_text() + (folder / "key.pem").read_text())
        for slot, port in PORTS.items():
            found.portal(slot, port)
        yield found
    finally:
        for name in ("pid", "nginx.pid"):
            if (folder / name).exists():
                end(int((folder / name).read_text().split()[0]))
        for process in found.portals.values():
            stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def end(process: int) -> None:
    """Send SIGTERM to a proxy, and wait up to 10 s for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            os.kill(process, 0)
            time.sleep(0.05)


def measure(root: Path, rival: Rival) -> tuple[Account, float]:
    """Change the portal under load; returns the account, and the longest time that the previous slot got requests."""
    with bench(root) as found:
        rival.prepare(found)
        words = [sys.executable, "-m", "visitors", "openloop", "--url", f"https://{NAME}:{PORT}", "--run", "rival"]
        words += ["--connect", "127.0.0.1", "--ca-file", f"{found.folder}/ca.crt", "--seconds", str(SECONDS)]
        words += ["--timeout", str(TIMEOUT_SECONDS), "--finish", str(TIMEOUT_SECONDS)]
        words += ["--reports", str(found.folder)]
        words += [f"--kind={kind}={rate:.4f}" for kind, rate in mix(RATE).items()]
        path = os.pathsep.join([str(ROOT / "demo/visitors"), os.environ.get("PYTHONPATH", "")])
        load = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL)
        changed: list[tuple[float, float, str]] = []
        try:
            wait((found.folder / "requests.jsonl").exists, "the load's first request")
            began = time.monotonic()
            for number in range(SWITCHES):
                time.sleep(max(0.0, began + (number + 0.5) * SECONDS / (SWITCHES + 1) - time.monotonic()))
                old, found.live = found.live, "green" if found.live == "blue" else "blue"
                told = time.time()
                rival.change(found)
                changed.append((told, time.time(), old))
            load.wait(SECONDS + TIMEOUT_SECONDS + 60)
        finally:
            stop(load)
        lines = (found.folder / "requests.jsonl").read_text().splitlines()
        return reconcile(lines, logged(found.logs)), longest(lines, changed)


def logged(logs: list[Path]) -> dict[str, list[str]]:
    """Read the portals' logs: {request ID: slots that handled it}."""
    done: dict[str, list[str]] = {}
    for log in logs:
        for text in log.read_text().splitlines():
            line = json.loads(text) if text.startswith("{") else {}
            if "load_id" in line:
                done.setdefault(line["load_id"], []).append(line["slot"])
    return done


def longest(lines: list[str], changed: list[tuple[float, float, str]]) -> float:
    """Return the longest time in seconds that new requests still went to the previous slot after a change.

    `changed` has for each change (start of its command, end of its command, previous slot).
    """
    asked: dict[str, list[float]] = {}
    for text in lines:
        line = json.loads(text)
        asked.setdefault(line["slot"], []).append(line["sent_at"])
    nexts = [began for began, _, _ in changed[1:]] + [float("inf")]
    return max(
        (
            at - ended
            for (_, ended, old), following in zip(changed, nexts, strict=True)
            for at in asked.get(old, [])
            if ended < at < following
        ),
        default=0.0,
    )


def compare() -> str:
    """Measure all ways, and return their table with a heading."""
    root, rows = system(), []
    for rival in RIVALS:
        account, seconds = measure(root, rival)
        say(f"{rival.name}: {account.line()}; previous slot got requests for {seconds:.1f} s")
        kinds = ", ".join(f"{count} {outcome}" for outcome, count in account.lost.most_common())
        rows.append(
            [
                rival.name,
                f"{account.sent:,}",
                str(SWITCHES),
                f"{account.losses} ({kinds})" if kinds else "0",
                f"{seconds:.1f} s",
            ]
        )
    head = ["on loopback", "requests", "changes", "lost", "new requests still went to the previous slot for"]
    return f"""
## Compared with other ways

The same kinds of requests, {RATE:.0f} per second, on this machine's loopback, with two portals as slots and {SWITCHES}
changes in a minute. The last column counts from the end of the command.

{table(head, rows)}
"""


if __name__ == "__main__":
    print(compare())
