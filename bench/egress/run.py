# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Proves that nothing leaves staging but what is listed: `python -m bench.egress.run`.

The long form of playbooks/guard.yml, for the lab. Staging must have its guard (bench/egress/guard). Runs the playbook
with the guard and without its rules, with the guard stopped, and while all firewalls reload. Reboots a host that tries
to leave from boot on, counts budgets, and measures what the guard costs. Writes reports/egress.txt.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
FILES = ROOT / "roles/egress_proof/files"
REPORT = ROOT / "reports/egress.txt"
INVENTORIES = ("-i", "inventories/staging", "-i", "bench/egress/guard")
FOLDER = "/run/greenroom-proof"
ADDRESSES = {"ops1": "198.18.10.41", "app1": "198.18.10.21", "app2": "198.18.10.22"}
"""The host that is the guard and has the recipients, and those that try to reach them here."""
RELOADING = ("edge1", "edge2", "app1", "app2", "data1")
RELOAD = (
    "systemd-run --quiet --collect --unit=greenroom-proof-reload --property=RuntimeMaxSec=300 "
    "sh -c 'while :; do nft -f /etc/nftables.conf; done'"
)
PARALLEL, BUDGET = 50, 20
NO_RULES = """
nft insert rule inet greenroom output accept
nft insert rule inet greenroom egress_output return
sleep 1
nft -f /etc/nftables.conf
"""
BOOT_UNIT = """
[Unit]
Description=Tries to leave the environment as soon as anything may use the network
DefaultDependencies=no
After=network-pre.target
[Service]
ExecStart=/usr/bin/python3 /var/lib/greenroom/proof-boot.py
[Install]
WantedBy=sysinit.target
"""


def ask(host: str, script: str, check: bool = True) -> str:
    """Run a shell script as root on a host, and return its output."""
    words = [str(ROOT / "lab/lab"), "ssh", f"staging/{host}", "sudo", "sh", "-s"]
    done = subprocess.run(words, input=script, capture_output=True, text=True, check=False)
    if done.returncode and check:
        sys.exit(f"{host}: {done.stdout}{done.stderr}")
    return done.stdout if not done.returncode else ""


def python(host: str, name: str, *words: str) -> str:
    """Run a program of this folder on a host."""
    return ask(host, f"python3 - {' '.join(words)} <<'END'\n{(HERE / name).read_text()}\nEND\n")


def proof(*options: str) -> dict[str, Any]:
    """Run the playbook, and return its result."""
    folder = ROOT / "reports/egress-staging"
    (folder / "guard.json").unlink(missing_ok=True)
    words = ["ansible-playbook", *INVENTORIES, "playbooks/guard.yml", "-e", f"egress_proof_report={folder}", *options]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if not (folder / "guard.json").exists():
        sys.exit(done.stdout + done.stderr)
    found: dict[str, Any] = json.loads((folder / "guard.json").read_text())
    return found


def escapes(found: dict[str, Any]) -> int:
    """Return how many attempts of a proof arrived with the guard."""
    return sum(route["arrived"]["guarded"] for route in found["routes"])


@contextlib.contextmanager
def planted(*others: str) -> Iterator[None]:
    """Plant the recipients on the guard, and lead other hosts to them."""
    hosts = ("ops1", *others)
    try:
        for host in hosts:
            for file in FILES.iterdir():
                ask(
                    host,
                    f"mkdir -p {FOLDER} && cat >{FOLDER}/{file.name} <<'END_OF_FILE'\n{file.read_text()}END_OF_FILE\n",
                )
        ask("ops1", f"sh {FOLDER}/proof.sh plant {ADDRESSES['ops1']}")
        for host in others:
            ask(host, f"sh {FOLDER}/proof.sh lead {ADDRESSES[host]} {ADDRESSES['ops1']}")
        yield
    finally:
        for host in hosts:
            ask(host, f"if [ -e {FOLDER}/proof.sh ]; then sh {FOLDER}/proof.sh undo; fi")


def arrived() -> list[str]:
    """Return the lines of what has arrived, and forget them."""
    return ask("ops1", f"cat {FOLDER}/arrived && truncate --size=0 {FOLDER}/arrived").splitlines()


def budgets() -> tuple[int, int]:
    """Return how many of PARALLEL calls arrived at a target with a budget, and how many after a reload of the guard."""
    with planted():
        ask("ops1", "systemctl restart greenroom-egress")
        python("app1", "calls.py", str(PARALLEL))
        first = len(arrived())
        ask("ops1", "systemctl reload greenroom-egress && sleep 3")
        python("app1", "calls.py", str(PARALLEL))
        return first, len(arrived())


def reloading() -> int:
    """Return how many attempts arrived while the firewalls reloaded without a pause."""
    try:
        for host in RELOADING:
            ask(host, RELOAD)
        return escapes(proof())
    finally:
        for host in RELOADING:
            ask(host, "systemctl stop greenroom-proof-reload", check=False)


def stopped() -> int:
    """Return how many attempts arrived with the guard stopped."""
    ask("ops1", "systemctl stop greenroom-egress greenroom-egress-dns")
    try:
        return escapes(proof())
    finally:
        ask("ops1", "systemctl start greenroom-egress greenroom-egress-dns")


def booting() -> tuple[int, int, int]:
    """Reboot a host that tries to leave from boot on; return how many attempts it made, and how many arrived.

    The last number is how many arrive when it has no rules for a second: they show that the attempts work.
    """
    unit = "/etc/systemd/system/greenroom-proof-boot.service"
    program = (HERE / "boot.py").read_text()
    with planted():
        ask(
            "app2",
            f"cat >/var/lib/greenroom/proof-boot.py <<'END'\n{program}END\ncat >{unit} <<'END'\n{BOOT_UNIT}END\n"
            "systemctl daemon-reload && systemctl enable --quiet greenroom-proof-boot",
        )
        try:
            subprocess.run([str(ROOT / "lab/lab"), "restart", "staging/app2"], check=True, capture_output=True)
            end = time.monotonic() + 120
            while not ask("app2", "systemctl is-active portal-blue portal-green | grep -x active", check=False):
                if time.monotonic() > end:
                    sys.exit("app2 did not start its containers")
                time.sleep(1)
            tried = int(ask("app2", "cat /run/proof-boot"))
            with_rules = len(arrived())
            ask("app2", NO_RULES)
        finally:
            ask(
                "app2",
                f"systemctl disable --quiet --now greenroom-proof-boot; rm -f {unit} /var/lib/greenroom/proof-boot.py; "
                "systemctl daemon-reload; ip route delete 198.19.200.0/24 || true",
            )
        return tried, with_rules, len(arrived())


def latency() -> dict[str, dict[str, list[float]]]:
    """Return {with or without: {protocol: [p50, p99] in milliseconds}} of new connections until the first response."""
    with planted("app1"):
        found = {"with": json.loads(python("app1", "latency.py"))}
        ask("app1", f"sh {FOLDER}/proof.sh open")
        found["without"] = json.loads(python("app1", "latency.py"))
    return found


def table(found: dict[str, dict[str, list[float]]]) -> Iterable[str]:
    """Yield the lines of a table of latencies."""
    yield "| Call | p50 with, ms | p50 without, ms | p99 with, ms | p99 without, ms |"
    yield "| --- | --- | --- | --- | --- |"
    for name in found["with"]:
        figures = [found[how][name][place] for place in (0, 1) for how in ("with", "without")]
        yield f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |"


def main() -> int:
    """Run the proof and return the exit code."""
    if "egress_refused" not in ask("app1", "nft list table inet greenroom"):
        sys.exit("Staging has no egress guard. Run site.yml with -i bench/egress/guard first.")
    passed, again = budgets()
    times = latency()
    while_stopped = stopped()
    while_reloading = reloading()
    tries, at_boot, without = booting()
    whole = proof("-e", "egress_proof_open=true")
    checks = {
        f"Of {PARALLEL} parallel calls, {passed} passed; the budget is {BUDGET}": passed == BUDGET,
        f"After a reload of the guard, {again} more passed": again == 0,
        f"With the guard stopped, {while_stopped} attempts arrived": while_stopped == 0,
        f"While the firewalls reloaded without a pause, {while_reloading} attempts arrived": while_reloading == 0,
        f"Of {tries} attempts during a reboot, from the first moment on, {at_boot} arrived": tries > 0 == at_boot,
        f"When the rebooted host had no rules for a second, {without} arrived": without > 0,
        "playbooks/guard.yml passed, with the guard and without its rules:": whole["passed"],
    }
    lines = [f"{'ok    ' if good else 'FAILED'} {what}" for what, good in checks.items()]
    lines += [f"  {line}" for line in whole["lines"]]
    lines += ["", "Time from the start of a new connection to the first byte of the response", "", *table(times)]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
