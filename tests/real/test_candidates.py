"""A candidate that never gets ready ends the run at its timeout, without effect on public traffic."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from environment import ROOT, Environment, Probe, other

# Timeout in seconds; longer if the candidate on another host must get ready, even on a busy machine.
TIMEOUT = 10
LONG_TIMEOUT = 45

# It has no settings, so it ends with exit code 2.
BROKEN = """
image: portal
ports:
  http: {container: 8080, host: 12090, from: []}
health: {port: http, path: /readyz}
"""

# A different fault on each host.
EACH = "{{ {'app1': 'never_ready', 'app2': 'hang'}[inventory_hostname] }}"


@pytest.mark.parametrize(
    ("playbook", "fault", "hosts"),
    [
        ("site.yml", EACH, ["app1", "app2"]),
        ("playbooks/deploy.yml", "never_ready", ["app2"]),
        # With the smoke checks, because it runs for a second after each start.
        ("site.yml", "crash", ["app1", "app2"]),
    ],
    ids=["never ready on one host and hangs on the other", "never ready on one host of two", "crash loop"],
)
def test_a_candidate_that_is_never_ready_gets_no_traffic(
    staging: Environment, playbook: str, fault: str, hosts: list[str]
) -> None:
    live = staging.live()
    processes = staging.processes(live)
    seconds = TIMEOUT if len(hosts) == len(staging.groups["app"]) else LONG_TIMEOUT
    wanted: dict[str, Any] = {"portal_fault": fault, "portal_fault_hosts": hosts, "bundle_ready_seconds": seconds}
    with Probe(staging) as probe:
        run = staging.play(playbook, "-e", json.dumps(wanted))
    assert run.code not in (0, None)
    assert "TASK [cutover : Prepare the switch" not in run.output
    assert "TASK [cutover : Make the switch" not in run.output
    failed = set(re.findall(r"fatal: \[(\w+)", run.output))
    if fault == "crash":
        # It crashes a second after each start, so a check may find it running, and the next one fails.
        assert failed
        assert "portal" in run.errors.lower() or f"slot {other(live)}" in run.errors, run.output
    else:
        # The error names the service.
        assert "portal" in run.errors.lower(), run.output
        assert failed == set(hosts)
        assert "PLAY [Configure each slot's backends and routes on the edge hosts]" not in run.output
    assert probe.failures == []
    assert set(probe.slots) == {live}
    assert probe.asked > 20
    assert staging.live() == live
    assert staging.processes(live) == processes


def test_a_program_that_ends_at_each_start_is_not_waited_for(staging: Environment, tmp_path: Path) -> None:
    live = staging.live()
    services = tmp_path / "services"
    shutil.copytree(ROOT / "services", services)
    (services / "broken").mkdir()
    (services / "broken/service.yml").write_text(BROKEN)
    # Longer than a run may take.
    wanted = json.dumps({"bundle_ready_seconds": 3000})
    run = staging.play("site.yml", "-e", wanted, GREENROOM_SERVICES=str(services))
    assert run.code not in (0, None)
    # Before the wait, if it ends while other services start; else in the wait.
    ended = r"failed to start \(.*, |: its program ended 3 times, the last time with "
    assert re.search(rf"broken-{other(live)}\.service(?:{ended})exit status 2", run.output), run.output
    assert "portal: environment variable" in run.output
    assert staging.live() == live


def test_the_next_run_with_valid_values_succeeds(staging: Environment) -> None:
    live = staging.live()
    run = staging.converge()
    assert staging.live() == live
    assert staging.release() == "1.0"
    assert "failed=1" not in run.output
