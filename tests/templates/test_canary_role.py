# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""roles/canary as a playbook includes it, on this machine, with a server in place of the edge and both slots."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import warm_start

ROOT = Path(__file__).resolve().parents[2]
# Each reading of the log finds the same lines.
JOURNALCTL = """#!/bin/sh
case "$*" in
  *--output=json*) echo '{"__CURSOR": "c1", "__REALTIME_TIMESTAMP": "0"}' ;;
  *--after-cursor=*|*--since=*) cat $(dirname $0)/journal ;;
esac
case "$*" in *--show-cursor*) echo "-- cursor: c1" ;; esac
"""
# Each unit runs since 5, but the worker started at the present second.
SYSTEMCTL = """#!/bin/sh
for unit in "$@"; do
  case $unit in
    worker-*.service) started=$(date +%s) ;;
    *.service) started=5 ;;
    *) continue ;;
  esac
  printf 'ExecMainStartTimestampMonotonic=%s\nId=%s\nActiveState=active\nSubState=running\n\n' $started $unit
done
"""
LINE = {"method": "GET", "path": "/", "status": 200, "server": "app1", "ms": 12, "termination": "--"}
OPEN = """\
from ansible.module_utils.greenroom.controller.common import opened
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        opened.mark()
        return {"changed": False}
"""
SECRET = {"value": "0123456789abcdefghijklmnopqrstuv"}


@pytest.fixture
def edge() -> Iterator[Callable[[str], str]]:
    """Start a server on which the slot `broken` responds with 500; returns its address."""
    servers = []

    def start(broken: str) -> str:
        class Slots(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                slot = self.headers["X-Greenroom-Slot"]
                self.send_response(500 if slot == broken else 200)
                self.send_header("X-Greenroom-Slot", slot)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: Any) -> None:
                """Log nothing."""

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Slots))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://localhost:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def bundle(slot: str, checks: list[Any], services: dict[str, str]) -> dict[str, Any]:
    common: dict[str, Any] = {"group": "app", "metrics": None, "ports": {}, "routes": []}
    described = {name: {"name": name, "activation": activation, **common} for name, activation in services.items()}
    return {"slot": slot, "release": "1.0", "hosts": {}, "services": described, "checks": checks}


def watched(
    folder: Path,
    url: str,
    steps: list[dict[str, Any]],
    services: dict[str, str] | None = None,
    apps: tuple[str, ...] = ("app1",),
    **more: Any,
) -> dict[str, Any]:
    """Return canary_result after the steps; each edge host's journal has 40 public requests, 10 of them to green.

    `services` are {name: activation}. The app host app2 does not answer.
    """
    lines = [LINE | {"slot": "green" if number < 10 else "blue", "chosen": "live"} for number in range(40)]
    (folder / "journal").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    for name, text in (("journalctl", JOURNALCTL), ("systemctl", SYSTEMCTL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    of_both = services or {"shop": "always"}
    check = {"name": "The front page opens", "url": "/", "on": "ops"}
    variables = {
        "notify_wanted": False,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "environment_record_host": "ops1",
        "environment_prober": "ops1",
        "environment_public_address": "127.0.0.1",
        "environment_public_name": "localhost",
        "environment_public_url": url,
        "environment_edge_trust": "/etc/greenroom/ca.crt",
        "environment_protected": False,
        "monitoring_port": 9,
        "identity_providers": [],
        "seed_set": "people",
        "seed_seed": "1",
        "seed_domain": "people.invalid",
        "secrets_values": {"environment/value/smoke": SECRET, "environment/value/persona": SECRET},
        "slot_bundles": {"blue": bundle("blue", [], of_both), "green": bundle("green", [check], of_both)},
        "canary_slot": "green",
        "canary_began": 1_700_000_000,
        "canary_interval_seconds": 2,
        "canary_probe_rate": 20,
        "canary_minimum": 15,
        # Every part of this time has the same lines.
        "canary_baseline_seconds": 2,
        "environment_edge": {"down": ["edge3"]},
        **more,
    }
    # The run skips the third one, which is down.
    dead = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    groups: dict[str, Any] = {"edge": {"edge1": {}, "edge2": {}, "edge3": dead}, "ops": {"ops1": {}}}
    groups["app"] = {host: dead if host == "app2" else {} for host in apps}
    children = {name: {"hosts": hosts} for name, hosts in groups.items()}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": children, "vars": variables}}))
    # In the place of playbooks/steps/open.yml.
    (folder / "action_plugins").mkdir(exist_ok=True)
    (folder / "action_plugins" / "open_run.py").write_text(OPEN)
    tasks: list[dict[str, Any]] = [
        {"name": "Open the run", "open_run": {}},
        *({"name": "Watch", "ansible.builtin.include_role": {"name": "canary"}, "vars": step} for step in steps),
    ]
    copied = {"dest": f"{folder}/result-{{{{ inventory_hostname }}}}", "content": "{{ canary_result | to_json }}"}
    tasks.append({"name": "Keep it", "ansible.builtin.copy": copied, "when": "inventory_hostname != 'edge3'"})
    play = {"hosts": "edge", "gather_facts": False, "any_errors_fatal": True, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    path = f"{folder}:{os.environ['PATH']}"
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": path}
    done = warm_start.run(["-i", "hosts.yml", "play.yml"], folder, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = ((folder / f"result-edge{number}").read_text() for number in (1, 2))
    assert first == second, "each host of the play has the verdict"
    result: dict[str, Any] = json.loads(first)
    return result


def test_evidence_adds_up_over_intervals_and_steps(tmp_path: Path, edge: Callable[[str], str]) -> None:
    # If this process stalls, both slots fail in one interval. A step with several intervals tolerates that.
    steps = [{"canary_weight": 5, "canary_seconds": 4}, {"canary_weight": 25, "canary_seconds": 4}]
    result = watched(tmp_path, edge(""), steps)
    assert (result["verdict"], result["reasons"], result["weight"]) == ("pass", [], 25)
    # Four intervals, on two edge hosts each.
    public = result["figures"]["public"]
    assert (public["candidate"]["requests"], public["live"]["requests"]) == (80, 240)
    # More than one interval can have. Late probes may be left out.
    assert result["figures"]["probes"]["candidate"]["requests"] > 20


def test_a_broken_candidate_ends_the_step(tmp_path: Path, edge: Callable[[str], str]) -> None:
    result = watched(tmp_path, edge("green"), [{"canary_weight": 5, "canary_seconds": 40}])
    assert (result["verdict"], result["left"], result["figures"]["intervals"]) == ("fail", 0, 1)
    assert "The front page opens: expected status 200, got status 500" in result["line"]


def test_an_immediate_cutover_is_compared_with_earlier_traffic(tmp_path: Path, edge: Callable[[str], str]) -> None:
    steps = [{"canary_slot": "blue", "canary_weight": 100, "canary_seconds": 2}]
    result = watched(tmp_path, edge(""), steps)
    assert result["verdict"] == "pass"
    # Requests in the journal from before the cutover.
    assert result["figures"]["public"]["live"]["requests"] == 40


def test_a_worker_that_crash_loops_ends_the_bake(tmp_path: Path, edge: Callable[[str], str]) -> None:
    services = {"shop": "always", "worker": "live_only"}
    # While the other slot is live, the worker does not run in the candidate.
    steps = [{"canary_weight": 50, "canary_seconds": 2}, {"canary_weight": 100, "canary_seconds": 40}]
    result = watched(tmp_path, edge(""), steps, services)
    assert (result["verdict"], result["left"]) == ("fail", 0)
    assert result["reasons"] == ["worker-green.service on app1 was restarted"]


def test_a_host_that_dies_meanwhile_is_no_pass(tmp_path: Path, edge: Callable[[str], str]) -> None:
    result = watched(tmp_path, edge(""), [{"canary_weight": 50, "canary_seconds": 2}], apps=("app1", "app2"))
    assert result["verdict"] == "no data"
    assert "can't read the state of shop-green.service on app2" in result["line"]
    assert "shop-green.service on app1" not in result["line"]


def test_without_an_ops_host_only_public_requests_count(tmp_path: Path, edge: Callable[[str], str]) -> None:
    steps = [{"canary_weight": 50, "canary_seconds": 2}]
    result = watched(tmp_path, edge("green"), steps, environment_silent=["ops1"], environment_prober="edge1")
    assert (result["verdict"], result["figures"]["public"]["candidate"]["requests"]) == ("pass", 20)
    assert result["figures"]["probes"]["candidate"]["requests"] == 0
