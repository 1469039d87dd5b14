"""Asked at any time, the status is told: of hosts that are dead, and of workers that are not where they belong."""

from __future__ import annotations

from environment import ONE_TRY, Environment, until


def test_the_status_reports_a_dead_host_and_a_missing_worker(staging: Environment) -> None:
    live, (first, *_, last) = staging.live(), staging.groups["app"]
    missing = f"portal-worker-{live} is not running, but {live} is live"
    staging.ssh(first, f"systemctl stop portal-worker-{live}")
    staging.power("pause", last)
    try:
        status = staging.play("playbooks/status.yml", ANSIBLE_SSH_RETRIES=ONE_TRY)
    finally:
        staging.power("unpause", last)
    assert status.code == 0, status.output
    assert f"live slot: {live}" in status.output
    assert f"{last}: does not answer" in status.output
    assert missing in status.output
    assert "playbooks/cutover.yml" in status.output

    # What it says is to be done puts it right.
    run = staging.play("playbooks/cutover.yml")
    assert run.code == 0, run.output

    def in_order() -> int:
        return staging.play("playbooks/status.yml").output.count(": in order")

    # What lost its connections while its host stood still may be starting anew.
    until(lambda: in_order() == len(staging.groups["app"]), 120, "all app hosts are in order")
