# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Differences planted on hosts: each is found under its name, and nothing else is, before, during and after."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from environment import Environment

SQL = "cd / && su postgres -c \"psql -XAtq -d {} -c '{}'\""
RELOAD = SQL.format("postgres", "SELECT pg_reload_conf()") + " >/dev/null"
TIMER = "/etc/systemd/system/greenroom-backup.timer.d"
SILENCE = json.dumps(
    {
        "matchers": [{"name": "alertname", "value": "HandMade", "isRegex": False}],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "hand",
        "comment": "planted",
    }
)
ALERTMANAGER = """python3 - <<'END'
import json, urllib.request
api = "http://127.0.0.1:9093/api/v2/silence"
{}
END
"""
PLANT_SILENCE = ALERTMANAGER.format(
    f"body = {SILENCE!r}.encode()\n"
    "headers = {'Content-Type': 'application/json'}\n"
    "urllib.request.urlopen(urllib.request.Request(api + 's', body, headers))"
)
END_SILENCE = ALERTMANAGER.format(
    "for one in json.load(urllib.request.urlopen(api + 's')):\n"
    "    if one['createdBy'] == 'hand' and one['status']['state'] == 'active':\n"
    "        urllib.request.urlopen(urllib.request.Request(api + '/' + one['id'], method='DELETE'))"
)


@dataclass(frozen=True)
class Plant:
    """A change by hand on a host, what undoes it, and the names of the differences that it makes."""

    host: str
    make: str
    undo: str
    found: tuple[str, ...]


PLANTS = (
    Plant(
        "ops1",
        "cp -P /etc/localtime /run/hand-localtime; ln -sf /usr/share/zoneinfo/Europe/Berlin /etc/localtime",
        "rm -f /etc/localtime; if [ -L /run/hand-localtime ]; then mv /run/hand-localtime /etc/localtime; fi",
        ("system: time zone",),
    ),
    Plant(
        "edge1",
        "sysctl -n net.core.somaxconn >/run/hand-somaxconn; sysctl -qw net.core.somaxconn=77",
        "sysctl -qw net.core.somaxconn=$(cat /run/hand-somaxconn)",
        ("kernel: net.core.somaxconn",),
    ),
    Plant("app1", "apt-mark -qq hold podman", "apt-mark -qq unhold podman", ("packages: held podman",)),
    Plant(
        "edge2",
        "echo 'deb http://198.51.100.7/debian trixie main' >/etc/apt/sources.list.d/hand.list",
        "rm -f /etc/apt/sources.list.d/hand.list",
        (
            "packages: source http://198.51.100.7/debian trixie main",
            "files: /etc/apt/sources.list.d/hand.list",
        ),
    ),
    Plant("app2", "useradd -s /bin/bash eve", "userdel eve", ("accounts: eve",)),
    Plant(
        "edge2",
        "echo 'games ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/hand",
        "rm -f /etc/sudoers.d/hand",
        ("rights: /etc/sudoers.d/hand",),
    ),
    Plant(
        "app2",
        "echo 'LoginGraceTime 77' >/etc/ssh/sshd_config.d/00-hand.conf",
        "rm -f /etc/ssh/sshd_config.d/00-hand.conf",
        ("ssh: logingracetime", "files: /etc/ssh/sshd_config.d/00-hand.conf"),
    ),
    Plant(
        "data1",
        "nft insert rule inet greenroom input tcp dport 9 accept",
        "nft delete rule inet greenroom input handle "
        "$(nft -a list chain inet greenroom input | sed -n 's/.*tcp dport 9 accept # handle //p')",
        ("firewall: inet greenroom chain input",),
    ),
    Plant(
        "app1",
        "systemd-run -q --unit=hand python3 -m http.server 7777 --directory /var/empty; sleep 1",
        "systemctl stop hand",
        ("ports: tcp 0.0.0.0:7777", "units: hand.service"),
    ),
    Plant(
        "edge2",
        "systemctl disable -q --now prometheus-node-exporter",
        "systemctl enable -q --now prometheus-node-exporter",
        (
            "units: enabled prometheus-node-exporter.service",
            "units: prometheus-node-exporter.service",
            "ports: tcp *:9100",
            "files: /etc/systemd/system/multi-user.target.wants/prometheus-node-exporter.service",
        ),
    ),
    Plant(
        "ops1",
        f"mkdir {TIMER}; printf '[Timer]\\nOnCalendar=*-*-* 07:07\\n' >{TIMER}/hand.conf; systemctl daemon-reload",
        f"rm -rf {TIMER}; systemctl daemon-reload",
        (f"files: {TIMER}/hand.conf", "units: timer greenroom-backup.timer"),
    ),
    Plant(
        "app2",
        "systemctl set-property --runtime chrony.service MemoryMax=77M",
        "systemctl revert chrony.service",
        ("units: chrony.service: MemoryMax",),
    ),
    Plant(
        "edge1",
        "cp /usr/bin/sleep /usr/local/bin/hand; systemd-run -q --unit=hand-sleep /usr/local/bin/hand 600; sleep 1; "
        "cp /usr/bin/sleep /usr/local/bin/newer; mv /usr/local/bin/newer /usr/local/bin/hand",
        "systemctl stop hand-sleep; rm -f /usr/local/bin/hand",
        ("processes: hand-sleep.service: runs files that were replaced", "units: hand-sleep.service"),
    ),
    Plant(
        "ops1",
        "chmod 0664 /etc/prometheus/prometheus.yml",
        "chmod 0644 /etc/prometheus/prometheus.yml",
        ("files: /etc/prometheus/prometheus.yml: mode",),
    ),
    Plant(
        "app1",
        "cp -p /etc/chrony/chrony.conf /run/hand-chrony.conf; echo 'maxdistance 7' >>/etc/chrony/chrony.conf",
        "mv /run/hand-chrony.conf /etc/chrony/chrony.conf",
        ("files: /etc/chrony/chrony.conf: maxdistance",),
    ),
    Plant(
        "app2",
        "echo '198.51.100.7 hand' >>/etc/hosts",
        "grep -v 198.51.100.7 /etc/hosts >/run/hand-hosts; cat /run/hand-hosts >/etc/hosts; rm -f /run/hand-hosts",
        ("files: /etc/hosts: 198.51.100.7",),
    ),
    Plant(
        "edge1",
        "mkdir -p /etc/cron.d; echo '7 7 * * * root true' >/etc/cron.d/hand",
        "rm -f /etc/cron.d/hand",
        ("files: /etc/cron.d/hand",),
    ),
    Plant(
        "edge1",
        "mkdir -p ~root/.ssh; echo ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHand eve >>~root/.ssh/authorized_keys",
        "rm -f ~root/.ssh/authorized_keys",
        ("keys: login of root (1)",),
    ),
    Plant(
        "ops1",
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout /run/hand.key -out /etc/greenroom/hand.crt -subj /CN=hand "
        "-addext basicConstraints=critical,CA:FALSE -days 7 2>/dev/null",
        "rm -f /etc/greenroom/hand.crt /run/hand.key",
        (
            "certificates: /etc/greenroom/hand.crt",
            "files: /etc/greenroom/hand.crt",
            "keys: certificate /etc/greenroom/hand.crt",
        ),
    ),
    Plant(
        "data1",
        f"{SQL.format('postgres', 'ALTER SYSTEM SET work_mem = 7777')}; {RELOAD}",
        f"{SQL.format('postgres', 'ALTER SYSTEM RESET work_mem')}; {RELOAD}",
        ("postgres: setting work_mem",),
    ),
    Plant(
        "data1",
        SQL.format("postgres", "CREATE ROLE hand LOGIN"),
        SQL.format("postgres", "DROP ROLE hand"),
        ("postgres: role hand",),
    ),
    Plant(
        "data1",
        SQL.format("portal", "CREATE TABLE hand (number int)"),
        SQL.format("portal", "DROP TABLE hand"),
        ("postgres: table public.hand in portal",),
    ),
    Plant(
        "data1",
        "rabbitmqctl -q add_user hand hand-password </dev/null",
        "rabbitmqctl -q delete_user hand </dev/null",
        ("broker: users: hand",),
    ),
    Plant("ops1", PLANT_SILENCE, END_SILENCE, ("monitoring: silence alertname=HandMade",)),
)
# What a comparison must not report.
NO_DIFFERENCE = {
    "edge2": "touch /etc/haproxy/haproxy.cfg; echo '# by hand' >>/etc/chrony/chrony.conf; systemctl restart chrony",
    "ops1": "systemctl reload prometheus; journalctl --rotate --quiet",
    "data1": SQL.format("portal", "ANALYZE orders"),
}
RESTORE = {"edge2": "sed -i '/# by hand/d' /etc/chrony/chrony.conf"}


def scripts(which: str) -> dict[str, str]:
    """One script for each host."""
    lines = defaultdict(list)
    for plant in PLANTS:
        lines[plant.host].append(getattr(plant, which))
    return {host: "\n".join(parts) for host, parts in lines.items()}


def snapshot(staging: Environment, folder: Path) -> str:
    options = {"snapshot_folder": str(folder), "snapshot_headers": {"Authorization": staging.authorization()}}
    run = staging.play("playbooks/snapshot.yml", "-e", json.dumps(options))
    assert run.quiet, run.output
    assert "not read" not in run.output
    return str(max(folder.glob("*.json")))


def compared(staging: Environment, first: str, second: str, report: Path) -> dict[str, Any]:
    """The result of a comparison, in which nothing is allowed."""
    options = {"parity_of": first, "parity_with": second, "parity_report": report, "parity_allowed": report / "none"}
    arguments = [part for name, value in options.items() for part in ("-e", f"{name}={value}")]
    staging.play("playbooks/parity.yml", *arguments, "-e", "parity_gate=false")
    result: dict[str, Any] = json.loads((report / "parity.json").read_text())
    return result


@pytest.mark.timeout(300)
def test_every_planted_difference_is_found_and_nothing_else(staging: Environment, tmp_path: Path) -> None:
    before = snapshot(staging, tmp_path)
    try:
        for host, script in scripts("make").items():
            staging.ssh(host, script)
        for host, script in NO_DIFFERENCE.items():
            staging.ssh(host, script)
        during = snapshot(staging, tmp_path)
    finally:
        for host, script in scripts("undo").items():
            staging.ssh(host, f"set +e\n{script}\n{RESTORE.get(host, '')}")
    found = compared(staging, before, during, tmp_path / "report")
    names = sorted(entry["what"] for entry in found["findings"])
    assert names == sorted(name for plant in PLANTS for name in plant.found)
    assert found["unknown"] == []
    after = snapshot(staging, tmp_path)
    again = compared(staging, before, after, tmp_path / "report")
    assert (again["verdict"], again["findings"]) == ("equal", [])
    # A snapshot may leave the building: no generated secret is in it.
    content = Path(after).read_text()
    secrets = [staging.password("visitor"), staging.secret("environment/value/signing")["value"]]
    assert [secret for secret in secrets if secret in content] == []
