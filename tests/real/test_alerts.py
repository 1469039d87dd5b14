# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A service that stops becomes a mail, and so does its return; hosts say why they would need a reboot."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from environment import Environment, until

READ = """
import json, urllib.request
for mail in json.load(urllib.request.urlopen("http://127.0.0.1:1080/email")):
    print(json.dumps([mail["subject"], mail.get("html") or ""]))
"""
ASK = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:9090/api/v1/targets?state=active").read().decode())
"""


def mails(staging: Environment) -> list[list[str]]:
    """Subject and content of each mail in the mail sandbox."""
    return [json.loads(line) for line in staging.python("ops1", READ).splitlines()]


def targets(staging: Environment) -> set[tuple[str, str]]:
    """What Prometheus scrapes of hosts, edge hosts and the database: (job, health)."""
    found: dict[str, Any] = json.loads(staging.python("ops1", ASK))
    wanted = {"hosts", "edge", "edge-health", "database", "broker", "certificates", "alertmanager"}
    each = [(target["labels"]["job"], target["health"]) for target in found["data"]["activeTargets"]]
    return {(job, health) for job, health in each if job in wanted}


def test_everything_is_scraped(staging: Environment) -> None:
    jobs = ("hosts", "edge", "edge-health", "database", "broker", "certificates", "alertmanager")
    until(lambda: targets(staging) == {(job, "up") for job in jobs}, 120, "Prometheus reaches all its targets")


def test_a_stopped_service_becomes_a_mail_and_its_return_too(staging: Environment, say: Callable[[str], None]) -> None:
    unit = f"portal-worker-{staging.live()}.service"
    before = mails(staging)

    def mail(status: str) -> list[str]:
        new = [mail for mail in mails(staging) if mail not in before]
        # Others, of before this test, may be in the same mail.
        start, name = f"[staging] {status}: ServiceDown (", "portal-worker app2"
        return [html for subject, html in new if subject.startswith(start) and name in subject]

    staging.ssh("app2", f"sudo systemctl stop {unit}")
    try:
        html, *_ = until(lambda: mail("firing"), 180, "the mail about the stopped service")
    finally:
        staging.ssh("app2", f"sudo systemctl start {unit}")
    assert "docs/alerts.md#servicedown" in html
    assert "app2" in html
    say("firing")
    assert until(lambda: mail("resolved"), 300, "the mail that the service is back")


def test_a_run_in_check_mode_says_which_hosts_it_would_reboot(staging: Environment) -> None:
    run = staging.play("playbooks/reboot.yml", "--check", "-e", "reboot_hosts=all")
    assert run.code == 0, run.output
    assert "Would be rebooted, in this order:" in run.output
    assert "Left out, because without data1 nobody is served" in run.output
    assert run.quiet
