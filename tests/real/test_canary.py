# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A candidate that fails during its canary is aborted automatically, with a reason."""

from __future__ import annotations

from pathlib import Path

from environment import Environment, until

# Long enough to break the candidate during the step. The run ends when it detects the failure.
SHARE = ("-e", "canary=50", "-e", "cutover_step_seconds=180")


def test_a_canary_that_dies_is_aborted_and_the_log_says_why(both_slots: Environment, tmp_path: Path) -> None:
    live, new = both_slots.live(), both_slots.idle()
    output = tmp_path / "cutover"
    process = both_slots.start("playbooks/cutover.yml", "-e", f"to={new}", *SHARE, output=output)
    apps = both_slots.groups["app"]
    try:
        until(lambda: both_slots.state()["weight"] or process.poll() is not None, 300, "the candidate has a weight")
        for host in apps:
            both_slots.ssh(host, f"systemctl stop portal-{new}.service")
        # Its clients get the live slot long before the verdict.
        until(lambda: all(both_slots.get("/version")[0] == 200 for _ in range(20)), 60, "no client gets the candidate")
        assert process.wait(600) != 0
    finally:
        for host in apps:
            both_slots.ssh(host, f"systemctl start portal-{new}.service")
    said = output.read_text()
    assert f"fail: {new} at 50 % (baseline {live})" in said, said
    state = both_slots.state()
    assert (state["live"], state["weight"], state["operation"]) == (live, 0, None)
