"""The visitors (demo/visitors) with the real programs: their audit trail matches the portal's logs."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from .real import PUBLIC_NAME, PUBLIC_URL, ROOT, KratosServer, Mailbox, ServeEdge, StartPortal

VISITORS = ROOT / "demo" / "visitors"
PASSWORD = "a persona's own pass phrase"
USERS = [f"visitor-{number}@people.staging.invalid" for number in range(1, 7)]
# Resolves all names to loopback. In the container, the hosts file resolves the public name to the edge.
RESOLVE = f"""
import socket
try:
    import gevent.monkey
    gevent.monkey.patch_all()  # Locust would do this later, and undo the patch below.
except ImportError:
    pass
_ask = socket.getaddrinfo
def _answer(host, *rest, **more):
    return _ask("127.0.0.1" if host in ({PUBLIC_NAME!r}, {PUBLIC_NAME.encode()!r}) else host, *rest, **more)
socket.getaddrinfo = _answer
"""


@pytest.fixture(scope="module")
def users(kratos: KratosServer) -> dict[str, str]:
    """Create the users; return their IDs."""
    found = {}
    for address in USERS:
        body = {
            "schema_id": "default",
            "traits": {"email": address},
            "credentials": {"password": {"config": {"password": PASSWORD}}},
        }
        answer = httpx.post(f"{kratos.admin}/admin/identities", json=body, timeout=30)
        assert answer.status_code == 201, answer.text
        found[address] = answer.json()["id"]
    return found


@pytest.fixture
def config(
    tmp_path: Path, start_portal: StartPortal, serve_edge: ServeEdge, mailbox: Mailbox, users: dict[str, str]
) -> Path:
    """Return a settings file for the running site."""
    slot = start_portal("blue", "1.0.0")
    settings = {
        "url": PUBLIC_URL,
        "ca_file": str(serve_edge(slot)),
        "mail_url": f"http://127.0.0.1:{mailbox.web}",
        "people": USERS,
        "seed": "1",
        "journeys": {"browse": 4, "order": 4, "mistype": 3, "recover": 2},
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings))
    (tmp_path / "slot.log").symlink_to(slot.program.output)
    (tmp_path / "resolve").mkdir()
    (tmp_path / "resolve/sitecustomize.py").write_text(RESOLVE)
    return path


def visitors(python: str, config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the image."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{VISITORS}:{config.parent / 'resolve'}",
        "VISITORS_PASSWORD": PASSWORD,
    }
    return subprocess.run(
        [python, "-m", "visitors", *words, "--config", str(config)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def sessions(kratos: KratosServer, users: dict[str, str]) -> int:
    """Count the users' sessions, including ended ones."""
    lists = [
        httpx.get(f"{kratos.admin}/admin/identities/{identity}/sessions", params={"page_size": 500}).json()
        for identity in users.values()
    ]
    return sum(len(found) for found in lists)


def arrived(config: Path, method: str, path: str) -> list[dict[str, Any]]:
    """Return the portal's log lines of successful requests with this method and path."""
    lines = [json.loads(line) for line in (config.parent / "slot.log").read_text().splitlines() if line.startswith("{")]
    return [
        line
        for line in lines
        if line.get("method") == method and re.fullmatch(path, line["path"]) and line["status"] < 400
    ]


def test_the_audit_trail_matches_the_portal(config: Path, kratos: KratosServer, users: dict[str, str]) -> None:
    """Three hours without waiting: the trail has exactly the sessions, orders and cancellations in the portal."""
    before = sessions(kratos, users)
    done = visitors(sys.executable, config, "simulate", "--at", "2026-01-05T13:00", "--for", "3h")
    assert done.returncode == 0, done.stderr
    *trail, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert 15 <= len(trail) <= 30
    assert [line["problem"] for line in trail if not line["ok"]] == []
    assert last == {
        "from": "2026-01-05T13:00:00Z", "to": "2026-01-05T16:00:00Z", "visits": len(trail), "well": len(trail)
    }  # fmt: skip
    assert {line["journey"] for line in trail} == {"browse", "order", "mistype", "recover"}
    assert [line["logins"] for line in trail] == [1] * len(trail)
    assert sessions(kratos, users) - before == sum(line["logins"] + line["recoveries"] for line in trail)
    said = [order for line in trail for order in line["orders"]]
    assert sorted(said) == sorted(line["order"] for line in arrived(config, "POST", "/orders"))
    cancelled = sum(line["cancellations"] for line in trail)
    assert len(arrived(config, "POST", "/orders/[0-9a-f-]+/cancel")) == cancelled
    assert all(line["mistakes"] for line in trail if line["journey"] == "mistype")
    assert {slot for line in trail for slot in line["slots"]} == {"blue"}
    planned = visitors(sys.executable, config, "simulate", "--at", "2026-01-05T13:00", "--for", "3h", "--plan")
    plan = [json.loads(line) for line in planned.stdout.splitlines()]
    assert [{name: line[name] for name in ("due", "journey", "person")} for line in trail] == plan


def test_the_audit_trail_has_the_sites_failures(config: Path, tmp_path: Path) -> None:
    """Wrong passwords, an unreachable address, an unknown certificate: one line each, and exit code 0."""
    settings = json.loads(config.read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"https://{PUBLIC_NAME}:{probe.getsockname()[1]}"
        for change, problem in (
            ({"people": ["nobody@people.staging.invalid"]}, "ended at /login, which is not the expected page"),
            ({"url": nobody}, "no response (ConnectionError)"),
            ({"ca_file": "/etc/ssl/certs/ca-certificates.crt"}, "no response (SSLError)"),
        ):
            wrong = tmp_path / "wrong.json"
            wrong.write_text(json.dumps({**settings, "journeys": {"browse": 1}, **change}))
            (tmp_path / "resolve").mkdir(exist_ok=True)
            done = visitors(sys.executable, wrong, "simulate", "--at", "2026-01-05T13:00", "--for", "10m")
            assert done.returncode == 0, done.stderr
            *trail, last = [json.loads(line) for line in done.stdout.splitlines()]
            assert trail
            assert last["well"] == 0
            assert all(problem in line["problem"] for line in trail), trail
            assert PASSWORD not in done.stdout


def test_load_is_judged(config: Path, tmp_path: Path) -> None:
    """A small load passes and writes its report; exceeded thresholds are reported with figures."""
    python = str(Path(os.environ["GREENROOM_LOCUST"]).with_name("python"))
    reports = tmp_path / "reports"
    reports.mkdir()
    settings = json.loads(config.read_text())
    for p95_ms, passed in ((20_000, True), (1, False)):
        load = {"users": 4, "ramp": 2, "duration": 12, "p95_ms": p95_ms, "error_percent": 1}
        config.write_text(json.dumps({**settings, "load": load}))
        done = visitors(python, config, "load", "--reports", str(reports))
        assert done.returncode == 0, done.stdout + done.stderr
        verdict = json.loads((reports / "verdict.json").read_text())
        assert verdict["passed"] is passed, json.dumps(verdict, indent=1)
        assert verdict["requests"] > 10, verdict
        assert verdict["failed"] == 0, verdict
        assert bool(verdict["problems"]) is not passed
        title = "The load test passed" if passed else "The load test failed"
        assert title in (reports / "report.html").read_text()
        assert "/self-service/login/browser" in (reports / "report_stats.csv").read_text()
