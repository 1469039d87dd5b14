# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Cutovers and rollbacks lose no request of any kind, and the test would detect a loss."""

from __future__ import annotations

import json

import pytest
from environment import Environment, other

from bench.zeroloss.rig import OpenLoop, mix, wait_ready

RATE = 60.0
LONGEST = 150.0


def move(staging: Environment, **variables: object) -> None:
    """Move public traffic with the bench's play, which runs no checks."""
    run = staging.play("bench/zeroloss/moves.yml", "-e", json.dumps(variables))
    assert run.code == 0, run.output


@pytest.mark.usefixtures("no_simulation")
def test_no_request_is_lost_during_cutovers(both_slots: Environment) -> None:
    live, epoch = both_slots.live(), both_slots.state()["epoch"]
    # Few clients, so that those who keep the edge's cookie ask again, however short the cutovers are.
    with OpenLoop(both_slots, mix(RATE), LONGEST, visitors=5) as load:
        with load.rising(other(live)):
            move(both_slots, zeroloss_shares=[5, 50, 100])
        assert both_slots.live() == other(live)
        move(both_slots, zeroloss_roll_back=True)
        assert both_slots.live() == other(live)
        move(both_slots, zeroloss_reload=True)
        assert both_slots.live() == live
        load.end()
    assert both_slots.state()["epoch"] == epoch + 6
    account = load.account()
    assert (account.losses, account.agrees) == (0, True), load.summary["first_lost"] or account
    assert account.unsent == 0
    # Clients that keep the edge's cookie stayed with the candidate.
    assert account.unsticky == []
    assert any(json.loads(line).get("visitor") for line in load.lines)
    # In such a short time, the rarest kinds may have no request.
    assert len(account.kinds) > len(mix(RATE)) / 2
    assert set(load.summary["slots"]) == {"blue", "green"}


def losses_of_a_kill(staging: Environment) -> int:
    """The number of lost requests of 10 s when the previous slot is killed right after the cutover."""
    old = staging.live()
    with OpenLoop(staging, {"h1-new-get-10000": 10.0, "ws-10000": 5.0}, LONGEST) as load:
        move(staging)
        for host in staging.groups["app"]:
            staging.ssh(host, f"podman kill --signal KILL portal-{old}")
        load.end()
    wait_ready(staging, old)
    return load.account(timeout=0).losses


@pytest.mark.usefixtures("no_simulation")
def test_a_slot_that_is_killed_without_drain_loses_requests_and_they_are_counted(both_slots: Environment) -> None:
    first = both_slots.live()
    # If the kill came ten seconds after the switch, there were no open requests left. So there are three attempts.
    assert any(losses_of_a_kill(both_slots) for _ in range(3))
    if both_slots.live() != first:
        move(both_slots)
    assert both_slots.live() == first
