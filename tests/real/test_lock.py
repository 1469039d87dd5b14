"""One run at a time; a dead one's lock expires; a protected environment wants its name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from environment import Environment, kill, until


def test_a_second_run_is_refused_and_a_dead_ones_lock_expires(staging: Environment, tmp_path: Path) -> None:
    output = tmp_path / "first"
    first = staging.start("site.yml", output=output)
    try:
        until(lambda: "PLAY [Prepare every host]" in output.read_text(), 60, "the first run has the lock")
        # It stands still, so that it can't end meanwhile; its lock is renewed as long as it lives.
        os.kill(first.pid, signal.SIGSTOP)
        refused = staging.play("playbooks/report.yml")
    finally:
        kill(first)
    assert refused.code != 0
    holder = f"staging is locked by root@{os.uname().nodename} (process {first.pid}, site.yml, since "
    assert holder in refused.errors, refused.output
    assert "that run is alive" in refused.errors

    nxt = staging.play("playbooks/report.yml")
    assert nxt.code == 0, nxt.output
    assert f"process {first.pid}, site.yml" in nxt.output


@pytest.mark.parametrize("confirm", [(), ("-e", "confirm=production")], ids=["not confirmed", "another's name"])
def test_a_protected_environment_is_not_touched_unless_it_is_named(
    staging: Environment, confirm: tuple[str, ...]
) -> None:
    run = staging.play("site.yml", "-e", "environment_protected=true", *confirm)
    assert run.code != 0
    assert "confirm" in run.errors, run.output
    assert "staging" in run.errors, run.output
    assert sum(run.ssh.values()) == 0


def test_a_protected_environment_that_is_named_is_served(staging: Environment) -> None:
    run = staging.play("playbooks/report.yml", "-e", "environment_protected=true", "-e", "confirm=staging")
    assert run.code == 0, run.output
