"""One run at a time; the lock of a dead run expires; a protected environment works with confirmation."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from environment import Environment, kill, until

HAS_LOCK = re.compile(r"TASK \[environment : Take the environment's lock\].*^TASK ", re.M | re.S)


def test_a_second_run_is_refused_and_a_dead_ones_lock_expires_for_one_that_names_the_environment(
    staging: Environment, tmp_path: Path
) -> None:
    output = tmp_path / "first"
    first = staging.start("site.yml", output=output)
    try:
        until(lambda: HAS_LOCK.search(output.read_text()), 300, "the first run has the lock")
        # It is stopped, so that it can't end meanwhile. Its lock is renewed as long as it lives.
        os.kill(first.pid, signal.SIGSTOP)
        refused = staging.play("playbooks/simulate.yml")
    finally:
        kill(first)
    assert refused.code != 0
    holder = f"staging is locked by root@{os.uname().nodename} (process {first.pid}, site.yml, since "
    assert holder in refused.errors, refused.output
    assert "which is still running; wait until it ends" in refused.errors

    # With confirmation, a protected environment works as any other.
    named = ("-e", "environment_protected=true", "-e", "confirm=staging")
    following = staging.play("playbooks/simulate.yml", *named)
    assert following.code == 0, following.output
    assert f"process {first.pid}, site.yml" in following.output
