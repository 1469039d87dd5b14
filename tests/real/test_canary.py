# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A candidate that fails in its canary or bake is sent back, with a reason; an operator decides in a pause."""

from __future__ import annotations

import json
from pathlib import Path

from environment import Environment, kill, until

# Long enough to break the candidate during the step. The run ends when it detects the failure.
SHARE = ("-e", "canary=50", "-e", "cutover_step_seconds=180")
# On a busy machine, probes are late.
FEW = ("-e", "canary_minimum=10")
INBOX = """
import json, urllib.request
for mail in json.load(urllib.request.urlopen("http://127.0.0.1:1080/email")):
    print(" ".join(str(mail["subject"]).split()))
"""


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


def test_a_worker_that_crashes_in_the_bake_is_rolled_back(both_slots: Environment, tmp_path: Path) -> None:
    live, new = both_slots.live(), both_slots.idle()
    output, host = tmp_path / "cutover", next(iter(both_slots.groups["app"]))
    worker = f"portal-worker-{new}.service"
    process = both_slots.start("playbooks/cutover.yml", "-e", f"to={new}", "-e", "bake=90", *FEW, output=output)

    def ended() -> bool:
        both_slots.ssh(host, f"systemctl is-active -q {worker} && systemctl kill --signal=KILL {worker} || true")
        return process.poll() is not None

    until(
        lambda: "Watch the first interval" in output.read_text() or process.poll() is not None, 300, "the bake begins"
    )
    until(ended, 300, "the run has ended")
    said = output.read_text()
    assert process.wait() != 0, said
    assert f"{worker} on {host} " in said, said
    assert f"{new} served all public traffic and did not pass, so {live} is live again" in said
    assert both_slots.live() == live
    # The previous slot's worker runs again, and the bad one does not.
    both_slots.ssh(host, f"systemctl is-active -q portal-worker-{live}.service")
    assert both_slots.ssh(host, f"systemctl is-active {worker} || true").stdout.strip() in ("inactive", "failed")


def test_edge_hosts_leave_a_bad_candidate_whose_run_is_killed_in_the_bake(
    both_slots: Environment, tmp_path: Path
) -> None:
    live, new = both_slots.live(), both_slots.idle()
    output, apps, edges = tmp_path / "cutover", both_slots.groups["app"], both_slots.groups["edge"]
    # The operation ends 90 s after the switch.
    short = ("-e", "bake=30", "-e", "cutover_step_seconds=10", "-e", "cutover_timeout_seconds=50")
    process = both_slots.start("playbooks/cutover.yml", "-e", f"to={new}", *short, *FEW, output=output)
    try:
        until(
            lambda: "Watch the first interval" in output.read_text() or process.poll() is not None,
            300,
            "the bake begins",
        )
        assert process.poll() is None, output.read_text()
        kill(process)
        for edge in edges:
            state = both_slots.state(edge)
            assert (state["live"], state["operation"]["phase"]) == (new, "live"), edge
            assert state["operation"]["bake"]["limits"]["minimum"] == 10, edge
        for host in apps:
            both_slots.ssh(host, f"systemctl stop portal-{new}.service")
        until(
            lambda: all(both_slots.state(edge)["live"] == live for edge in edges), 240, "the edge hosts have gone back"
        )
    finally:
        if process.poll() is None:
            kill(process)
        for host in apps:
            both_slots.ssh(host, f"systemctl start portal-{new}.service")
    found = [both_slots.state(edge) for edge in edges]
    assert [state["operation"] for state in found] == [None] * len(edges)
    assert len({state["epoch"] for state in found}) == 1
    assert both_slots.get("/version")[0] == 200
    said = "".join(both_slots.ask(edge, "journalctl -u greenroom-edge --since=-10min -o cat").stdout for edge in edges)
    assert f"no run ended the bake of {new}; verdict: fail: {new} at 100 % (baseline {live})" in said, said
    by = f"no run ended the bake, and {new} failed it"
    status = both_slots.play("playbooks/status.yml")
    assert by in " ".join(status.output.split()), status.output
    # The next run moves background services to the slot that is live now.
    run = both_slots.play("playbooks/cutover.yml")
    assert run.code == 0, run.output
    assert by in " ".join(run.output.split()), run.output
    both_slots.ssh(next(iter(apps)), f"systemctl is-active -q portal-worker-{live}.service")


def mails(environment: Environment, about: str) -> list[str]:
    """The subjects of the mails in the mail sandbox that contain a text."""
    found = environment.python("ops1", INBOX).splitlines()
    return [subject for subject in found if about in subject]


def test_an_operator_promotes_a_candidate_and_hears_of_it(both_slots: Environment, tmp_path: Path) -> None:
    live, new = both_slots.live(), both_slots.idle()
    output = tmp_path / "cutover"
    notify = json.dumps({"notify_mail_to": ["operators@staging.test"]})
    steps = ("-e", "canary=50,pause", "-e", "cutover_step_seconds=10", "-e", notify)
    process = both_slots.start("playbooks/cutover.yml", "-e", f"to={new}", *steps, *FEW, output=output)
    paused = f"{new} keeps 50 % until an operator decides"
    until(lambda: paused in output.read_text() or process.poll() is not None, 300, "the canary waits")
    status = both_slots.play("playbooks/status.yml")
    assert f"playbooks/promote.yml gives {new} more traffic" in " ".join(status.output.split()), status.output
    promoted = both_slots.play("playbooks/promote.yml")
    assert promoted.code == 0, promoted.output
    assert process.wait(600) == 0, output.read_text()
    assert both_slots.live() == new
    assert "Not notified" not in output.read_text()
    for about in (f"start: {new} gets 50 %", f"pause: {new} keeps 50 %", f"verdict: pass: {new} at 50 %"):
        assert mails(both_slots, f"[staging] {about}"), about

    # There is nothing to promote any more.
    again = both_slots.play("playbooks/promote.yml")
    assert again.code != 0
    assert "No cutover waits for an operator: none is in progress" in " ".join(again.output.split())
    both_slots.go_back(live)
