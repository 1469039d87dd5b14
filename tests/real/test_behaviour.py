"""The simulation, whose audit trail matches the services' logs, and the load test with its verdict."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from environment import Environment, until
from test_people import users

UNIT = "greenroom-simulation"
# One hour of an afternoon without waiting, run by the unit itself.
HOUR = "--at 2026-01-05T15:00 --for 1h"
DROP_IN = f"/run/containers/systemd/{UNIT}.container.d"
# Counts all sessions of identities, including ended ones.
SESSIONS = """
import urllib.request
count = 0
for identity in {identities!r}:
    answer = urllib.request.urlopen(f"{admin}/identities/{{identity}}/sessions?page_size=1", timeout=30)
    count += int(answer.headers["X-Total-Count"])
print(count)
"""


def sessions(environment: Environment, identities: list[str]) -> int:
    """The number of all sessions of these identities."""
    program = SESSIONS.format(identities=identities, admin=environment.kratos_admin())
    return int(environment.python("app1", program))


def orders(environment: Environment, since: str) -> list[str]:
    """The orders in the portal's logs since then."""
    lines = [
        json.loads(line)
        for host in environment.groups["app"]
        for line in environment.ssh(host, f"journalctl -o cat -u 'portal-*' --since @{since}").stdout.splitlines()
        if line.startswith("{") and '"order"' in line
    ]
    return sorted(line["order"] for line in lines if line["method"] == "POST" and line["path"] == "/orders")


def test_disabling_the_simulation_removes_it(staging: Environment) -> None:
    run = staging.play("playbooks/simulate.yml", "-e", "simulation_enabled=false")
    assert run.code == 0, run.output
    left = f"ls -d /etc/greenroom/simulation/* /etc/containers/systemd/{UNIT}* /etc/systemd/system/{UNIT}*"
    assert staging.ssh("ops1", left, check=False).stdout == ""
    assert staging.ssh("ops1", f"systemctl is-active {UNIT}.timer", check=False).stdout.strip() == "inactive"
    run = staging.play("playbooks/simulate.yml")
    assert run.code == 0, run.output
    assert staging.ssh("ops1", f"systemctl is-active {UNIT}.timer").stdout.strip() == "active"


def test_the_audit_trail_of_an_hour_matches_the_services(staging: Environment, no_simulation: None) -> None:
    known = users(staging)
    before, since = sessions(staging, list(known.values())), staging.ssh("ops1", "date +%s").stdout.strip()
    try:
        staging.ssh(
            "ops1",
            f"mkdir -p {DROP_IN} && printf '[Container]\\nExec=simulate {HOUR}\\n' >{DROP_IN}/hour.conf && "
            f"systemctl daemon-reload && systemctl start {UNIT}.service",
            timeout=300,
        )
    finally:
        staging.ssh("ops1", f"rm -rf {DROP_IN} && systemctl daemon-reload")

    def said_all() -> list[dict[str, Any]]:
        journal = staging.ssh("ops1", f"journalctl -o cat -u {UNIT}.service --since @{since}").stdout
        found = [json.loads(line) for line in journal.splitlines() if line.startswith("{")]
        return found if found and "visits" in found[-1] else []

    # The unit has ended, but journald may not have read all of its output yet.
    lines: list[dict[str, Any]] = until(said_all, 60, "the hour's last line in the journal")
    trail = [line for line in lines if "journey" in line]
    assert 8 <= len(trail) <= 10
    assert lines[-1] == {
        "from": "2026-01-05T15:00:00Z", "to": "2026-01-05T16:00:00Z", "visits": len(trail), "well": len(trail)
    }  # fmt: skip
    assert [line["problem"] for line in trail if not line["ok"]] == []
    assert {line["person"] for line in trail} <= set(known)
    assert {slot for line in trail for slot in line["slots"]} == {staging.live()}
    assert [line["logins"] for line in trail] == [1] * len(trail)
    got_in = sum(line["logins"] + line["recoveries"] for line in trail)
    assert sessions(staging, list(known.values())) - before == got_in
    said = sorted(order for line in trail for order in line["orders"])
    assert said
    until(lambda: len(orders(staging, since)) >= len(said), 60, "all orders in the portal's logs")
    assert said == orders(staging, since)


def test_no_secret_is_in_the_unit(staging: Environment) -> None:
    generated = staging.ssh("ops1", f"systemctl cat {UNIT}.service {UNIT}.timer").stdout
    assert "OnCalendar=*:0/10" in generated
    for name in ("persona", "visitor"):
        assert staging.password(name) not in generated
    modes = staging.ssh("ops1", "stat -c %a /etc/greenroom/simulation/secrets /etc/greenroom/simulation/config.json")
    assert modes.stdout.split() == ["600", "644"]


@pytest.fixture
def load(staging: Environment, tmp_path: Path, no_simulation: None) -> Any:
    """A function that runs a small load test; it returns the run, and the report's folder."""

    def make(*more: str) -> tuple[Any, Path]:
        options = ["load_users=3", "load_ramp_seconds=3", f"load_reports={tmp_path}", *more]
        run = staging.play("playbooks/load.yml", *(word for option in options for word in ("-e", option)))
        return run, max(tmp_path.glob("load-*"), default=tmp_path)

    return make


def test_a_small_load_passes_and_writes_a_report(load: Any) -> None:
    run, report = load("load_seconds=30", "load_p95_ms=20000")
    assert run.code == 0, run.output
    verdict = json.loads((report / "verdict.json").read_text())
    assert verdict["passed"]
    assert verdict["requests"] > 10
    assert verdict["failed"] == 0, verdict
    assert verdict["users"] == 3
    assert "The load test passed" in (report / "report.html").read_text()
    assert "/self-service/login/browser" in (report / "report_stats.csv").read_text()


def test_an_exceeded_threshold_fails_the_play_with_figures(load: Any) -> None:
    run, report = load("load_seconds=15", "load_p95_ms=1")
    assert run.code != 0
    assert re.search(r"95 % of the requests took up to \d+ ms, 1 ms are allowed\. \d+ requests by 3 users", run.errors)
    assert "The load test failed" in (report / "report.html").read_text()


def test_too_much_load_is_refused(load: Any) -> None:
    run, report = load("load_users=100000", "load_seconds=86400")
    assert run.code != 0
    assert "load_users must be from 1 to 200; load_seconds must be from 1 to 600 s" in run.errors
    assert not (report / "verdict.json").exists()
