# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A candidate that breaks while it has a share of the public is given up, with a reason, by itself."""

from __future__ import annotations

from pathlib import Path

from environment import Environment, until

# Long enough to break the candidate while it has its share: the run ends when it has noticed.
SHARE = ("-e", "canary=50", "-e", "cutover_share_seconds=180")


def test_a_canary_that_dies_is_aborted_and_the_log_says_why(both_slots: Environment, tmp_path: Path) -> None:
    live, new = both_slots.live(), both_slots.idle()
    output = tmp_path / "cutover"
    process = both_slots.start("playbooks/cutover.yml", "-e", f"to={new}", *SHARE, output=output)
    apps = both_slots.groups["app"]
    try:
        until(lambda: both_slots.state()["weight"] or process.poll() is not None, 300, "the candidate has a share")
        for host in apps:
            both_slots.ssh(host, f"systemctl stop portal-{new}.service")
        # Its people have the live slot, long before anybody decides.
        until(lambda: all(both_slots.get("/version")[0] == 200 for _ in range(20)), 60, "nobody gets the candidate")
        assert process.wait(600) != 0
    finally:
        for host in apps:
            both_slots.ssh(host, f"systemctl start portal-{new}.service")
    said = output.read_text()
    assert f"fail: {new} at 50 % (baseline {live})" in said, said
    state = both_slots.state()
    assert (state["live"], state["weight"], state["operation"]) == (live, 0, None)
