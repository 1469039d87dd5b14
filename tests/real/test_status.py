"""The status at any time: it reports dead hosts, and background services that are missing or run for the idle slot."""

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

    # Its advice repairs the worker.
    run = staging.play("playbooks/cutover.yml")
    assert run.code == 0, run.output

    def in_order() -> int:
        return staging.play("playbooks/status.yml").output.count(": in order")

    # Services that lost their connections while their host was paused may be restarting.
    until(lambda: in_order() == len(staging.groups["app"]), 120, "all app hosts are in order")
