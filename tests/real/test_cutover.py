# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Cutovers with a canary: completed and rolled back, aborted, and abandoned. Public traffic never fails."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from environment import Environment, Probe, kill, until

# Two intervals, and a low minimum of requests: on a busy machine, probes are late, and the verdict would be no data.
SHARES = ("-e", "canary=50", "-e", "cutover_step_seconds=20", "-e", "canary_minimum=10")
# How long the edge waits for the run after a step: long enough for other runs to inspect and act, or short if the test
# waits for it.
LONG_TIMEOUT, SHORT_TIMEOUT = ("-e", "cutover_timeout_seconds=240"), ("-e", "cutover_timeout_seconds=30")


def states(environment: Environment) -> list[dict[str, Any]]:
    """The state file of each edge host."""
    return [environment.state(host) for host in environment.groups["edge"]]


def stopped(environment: Environment, slot: str) -> bool:
    """Whether no host runs a service of a slot."""
    return not any(name.endswith(f"-{slot}.service") for _, name in environment.processes(slot))


def plans(environment: Environment) -> set[str]:
    """The slots with a planned stop, on all app hosts."""
    plan = "systemctl is-active -q greenroom-stop.timer && cat /run/greenroom/stop/plan.fact || echo '{}'"
    hosts = environment.groups["app"]
    return {json.loads(environment.ssh(host, plan).stdout).get("slot", "") for host in hosts}


def agreed(environment: Environment) -> dict[str, Any]:
    """The state of all edge hosts, which must agree."""
    first, *others = states(environment)
    assert [state["live"] for state in others] == [first["live"]] * len(others)
    assert [state["epoch"] for state in others] == [first["epoch"]] * len(others)
    return first


@pytest.fixture
def canary(both_slots: Environment, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """A cutover in the middle of its canary: its process, its output, the state before.

    The process is stopped (SIGSTOP), so that it doesn't continue before other runs have inspected and acted.
    """
    before = agreed(both_slots)
    output = tmp_path / "cutover"
    words = ("-e", f"to={both_slots.idle()}", *SHARES, *request.param)
    process = both_slots.start("playbooks/cutover.yml", *words, output=output)

    def shared() -> bool:
        return all(state["weight"] for state in states(both_slots))

    try:
        until(lambda: shared() or process.poll() is not None, 300, "the candidate has a weight")
        assert process.poll() is None, output.read_text()
        os.kill(process.pid, signal.SIGSTOP)
        yield process, output, before
    finally:
        if process.poll() is None:
            kill(process)


def test_a_canary_cutover_and_a_rollback(both_slots: Environment) -> None:
    before, new = agreed(both_slots), both_slots.idle()
    with Probe(both_slots) as probe:
        run = both_slots.play("playbooks/cutover.yml", "-e", f"to={new}", *SHARES, "-e", "stop_after=0")
        assert run.code == 0, run.output
        after = agreed(both_slots)
        assert (after["live"], after["epoch"], after["operation"]) == (new, before["epoch"] + 2, None)

        # The hosts themselves stop the previous slot.
        until(lambda: stopped(both_slots, before["live"]), 180, "the previous slot is stopped")
        status = both_slots.play("playbooks/status.yml")
        assert status.output.count("stopped (planned for ") == len(both_slots.groups["app"]), status.output

        # A rollback first starts it again. The other slot's stop is planned in an hour.
        back = both_slots.play("playbooks/rollback.yml", "-e", "stop_after=3600")
        assert back.code == 0, back.output
        assert not stopped(both_slots, before["live"])
        assert plans(both_slots) == {new}
        assert "does not roll back: database migrations" in back.output
        assert agreed(both_slots)["live"] == before["live"]
    assert probe.failures == []
    assert set(probe.slots) == {"blue", "green"}

    # A second rollback would return to the slot that was just left.
    again = both_slots.play("playbooks/rollback.yml")
    assert again.code != 0
    assert f"playbooks/cutover.yml -e to={new}, which checks it first" in again.errors
    assert sum(again.changed.values()) == 0, again.output
    assert agreed(both_slots)["live"] == before["live"]
    assert plans(both_slots) == {new}, "a refused rollback cancels no planned stop"


@pytest.mark.parametrize("canary", [LONG_TIMEOUT], indirect=True, ids=["long timeout"])
def test_another_run_aborts_a_cutover(both_slots: Environment, canary: Any) -> None:
    process, output, before = canary
    status = both_slots.play("playbooks/status.yml")
    assert status.code == 0, status.output
    assert "gets 50 %" in status.output
    # Giving the slot a weight has canceled its planned stop.
    assert plans(both_slots) == {""}
    with Probe(both_slots) as probe:
        abort = both_slots.play("playbooks/abort.yml")
        assert abort.code == 0, abort.output
        assert agreed(both_slots)["live"] == before["live"]
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(600) != 0
    assert probe.failures == []
    # It finds out when it asks the edge hosts, and says who ended it.
    said = " ".join(output.read_text().split())
    assert re.search(r"serves all public traffic: \S+ with playbooks/abort\.yml ended it at", said), said
    after = agreed(both_slots)
    assert (after["live"], after["weight"], after["operation"]) == (before["live"], 0, None)
    nothing = both_slots.play("playbooks/abort.yml")
    assert (nothing.code, sum(nothing.changed.values())) == (0, 0), nothing.output


@pytest.mark.parametrize("canary", [SHORT_TIMEOUT], indirect=True, ids=["short timeout"])
def test_the_watchdog_aborts_an_abandoned_cutover(both_slots: Environment, canary: Any) -> None:
    process, _, before = canary
    with Probe(both_slots) as probe:
        kill(process)
        until(lambda: not any(state["weight"] for state in states(both_slots)), 300, "the watchdog has aborted it")
        until(lambda: len({state["epoch"] for state in states(both_slots)}) == 1, 60, "the edge hosts agree")
    assert probe.failures == []
    after = agreed(both_slots)
    assert (after["live"], after["operation"]) == (before["live"], None)


def test_going_back_on_an_edge_host_needs_no_controller_and_leaves_nothing_to_roll_back_to(
    both_slots: Environment,
) -> None:
    old, new = both_slots.live(), both_slots.idle()
    both_slots.go_back(new)
    with Probe(both_slots) as probe:
        said = both_slots.ssh("edge1", "greenroom-edge back").stdout
        until(lambda: {state["live"] for state in states(both_slots)} == {old}, 30, "the other edge host follows")
    assert probe.failures == []
    assert f"{old} has all public traffic on this host" in said
    assert f"Background services still run for {new}." in said
    run = both_slots.play("playbooks/rollback.yml")
    assert run.code != 0
    assert "There is nothing to roll back to" in run.errors
    after = both_slots.play("playbooks/cutover.yml")
    assert after.code == 0, after.output
    assert sum(after.changed.values()) > 0, "background services move"
    assert agreed(both_slots)["live"] == old
