"""A candidate that never gets ready ends the run at its timeout, without effect on public traffic."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from environment import Environment, Probe, other

# Timeout in seconds; longer if the candidate on another host must get ready, even on a busy machine.
TIMEOUT = 10
LONG_TIMEOUT = 45


# A different fault on each host.
EACH = "{{ {'app1': 'never_ready', 'app2': 'hang'}[inventory_hostname] }}"


@pytest.mark.parametrize(
    ("fault", "hosts"),
    [(EACH, ["app1", "app2"]), ("never_ready", ["app2"]), ("crash", ["app1", "app2"])],
    ids=["never ready on one host and hangs on the other", "never ready on one host of two", "crash loop"],
)
def test_a_candidate_that_is_never_ready_gets_no_traffic(staging: Environment, fault: str, hosts: list[str]) -> None:
    live = staging.live()
    processes = staging.processes(live)
    seconds = TIMEOUT if len(hosts) == len(staging.groups["app"]) else LONG_TIMEOUT
    wanted: dict[str, Any] = {"portal_fault": fault, "portal_fault_hosts": hosts, "bundle_ready_seconds": seconds}
    with Probe(staging) as probe:
        run = staging.play("site.yml", "-e", json.dumps(wanted))
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


def test_the_next_run_with_valid_values_succeeds(staging: Environment) -> None:
    live = staging.live()
    run = staging.converge()
    assert staging.live() == live
    assert staging.release() == "1.0"
    assert "failed=1" not in run.output
